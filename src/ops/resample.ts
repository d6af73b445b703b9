/** Latents in another size, as torch.nn.functional.interpolate makes them; and their colours. */
import rgbSource from "../../kernels/latents_rgb.wgsl" with { type: "text" };
import resampleSource from "../../kernels/resample.wgsl" with { type: "text" };
import { Kernel } from "../gpu/kernel.ts";
import { rowsOf, spread, type Value, vec4s } from "../graph/graph.ts";
import { WORKGROUP } from "./elementwise.ts";

const resampleKernel = new Kernel("resample", resampleSource);
const rgbKernel = new Kernel("latents_rgb", rgbSource);

/** How latents between latents are found; torch's names with `align_corners` false, antialiased or not. */
export type Interpolation =
  | "nearest"
  | "nearest-exact"
  | "bilinear"
  | "bilinear antialiased"
  | "bicubic"
  | "bicubic antialiased";

/** Every {@link Interpolation}. */
export const interpolations = [
  "nearest",
  "nearest-exact",
  "bilinear",
  "bilinear antialiased",
  "bicubic",
  "bicubic antialiased",
] as const satisfies readonly Interpolation[];

/** For each place of one side of a picture: which places count there. */
export interface AxisTable {
  /** Weights a place. */
  taps: number;
  /** [length, 1 + taps]: the first place, then weights, which may be 0. */
  data: Float32Array;
}

/** The table that brings a side of `from` places to `to`. */
export function axisTable(from: number, to: number, how: Interpolation): AxisTable {
  const scale = from / to;
  switch (how) {
    case "nearest":
      return tableOf(from, to, (i) => new Map([[Math.floor(i * scale), 1]]));
    case "nearest-exact":
      return tableOf(from, to, (i) => new Map([[Math.floor((i + 0.5) * scale), 1]]));
    case "bilinear":
      return tableOf(from, to, (i) => sampled(Math.max(0, (i + 0.5) * scale - 0.5), from, [0, 1], triangle));
    case "bicubic":
      return tableOf(from, to, (i) => sampled((i + 0.5) * scale - 0.5, from, [-1, 0, 1, 2], cubic(-0.75)));
    case "bilinear antialiased":
      return tableOf(from, to, (i) => widened(i, from, scale, 1, triangle));
    case "bicubic antialiased":
      return tableOf(from, to, (i) => widened(i, from, scale, 2, cubic(-0.5)));
    default:
      return how satisfies never;
  }
}

/** Weights of the places around `at`; beyond the ends the outermost one counts for them. */
function sampled(at: number, from: number, around: number[], weight: (x: number) => number): Map<number, number> {
  const first = Math.floor(at), weights = new Map<number, number>();
  for (const step of around) {
    const place = Math.min(from - 1, Math.max(0, first + step));
    weights.set(place, (weights.get(place) ?? 0) + weight(first + step - at));
  }
  return weights;
}

/** Weights of a window that covers, when shrinking, all that a place stands for; those within the picture add up to 1. */
function widened(
  i: number,
  from: number,
  scale: number,
  reach: number,
  weight: (x: number) => number,
): Map<number, number> {
  const widening = Math.max(scale, 1), center = (i + 0.5) * scale;
  const first = Math.max(0, Math.trunc(center - reach * widening + 0.5));
  const end = Math.min(from, Math.trunc(center + reach * widening + 0.5)), weights = new Map<number, number>();
  let total = 0;
  for (let place = first; place < end; place++) {
    const share = weight((place - center + 0.5) / widening);
    weights.set(place, share);
    total += share;
  }
  for (const [place, share] of weights) weights.set(place, share / total);
  return weights;
}

function triangle(x: number): number {
  return Math.max(0, 1 - Math.abs(x));
}

/** Keys' cubic convolution. */
function cubic(a: number): (x: number) => number {
  return (x) => {
    const d = Math.abs(x);
    if (d < 1) return ((a + 2) * d - (a + 3)) * d * d + 1;
    return d < 2 ? (((d - 5) * d + 8) * d - 4) * a : 0;
  };
}

function tableOf(from: number, to: number, weightsAt: (i: number) => Map<number, number>): AxisTable {
  const all = Array.from({ length: to }, (_, i) => weightsAt(i));
  const firsts = all.map((weights) => Math.min(...weights.keys()));
  const taps = Math.max(...all.map((weights, i) => Math.max(...weights.keys()) - firsts[i] + 1));
  const data = new Float32Array(to * (1 + taps));
  for (const [i, weights] of all.entries()) {
    const first = Math.min(firsts[i], from - taps);
    data[i * (1 + taps)] = first;
    for (const [place, weight] of weights) data[i * (1 + taps) + 1 + place - first] = weight;
  }
  return { taps, data };
}

/**
 * `x` [images, height, width, channels], f32, in the size of its tables: `rows` [height', 1 + taps] and `columns`
 * [width', 1 + taps], whose taps are told apart from their memory.
 */
export function resample(x: Value, rows: Value, columns: Value): Value {
  const [images, fromHeight, fromWidth, channels] = x.shape;
  const [height, rowLength] = rows.shape, [width, columnLength] = columns.shape;
  const shape = [images, height, width, channels], total = rowsOf(shape) * vec4s(shape);
  const rowTaps = rowLength - 1, columnTaps = columnLength - 1;
  return x.graph.record(resampleKernel, { shape, dtype: "f32" }, {
    operands: { x, rows, columns },
    shape: {
      size4: total,
      height,
      width,
      channels4: vec4s(shape),
      fromHeight,
      fromWidth,
      rowTaps,
      columnTaps,
      rowStride: 4 * vec4s(rows.shape),
      columnStride: 4 * vec4s(columns.shape),
    },
    workgroups: spread(Math.ceil(total / WORKGROUP)),
    loops: rowTaps * (1 + columnTaps),
  });
}

/** `x` [images, height, width, channels], f32, through `matrix` [channels + 1, 4] to [images, height, width] packed RGB. */
export function latentsToRgb(x: Value, matrix: Value): Value {
  const [images, height, width, channels] = x.shape, pixels = images * height * width;
  return x.graph.record(rgbKernel, { shape: [images, height, width], dtype: "u32" }, {
    operands: { x, matrix },
    shape: { pixels, width, rowStride: Math.ceil(width / 4) * 4, channels, stride: 4 * vec4s(x.shape) },
    workgroups: spread(Math.ceil(pixels / WORKGROUP)),
    loops: channels,
  });
}
