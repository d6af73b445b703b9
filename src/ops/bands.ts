/** A picture in bands of rows, each a value of its own: for pictures that are larger than a device binds or has room for. */
import joinSource from "../../kernels/band_join.wgsl" with { type: "text" };
import momentsSource from "../../kernels/band_moments.wgsl" with { type: "text" };
import scaleSource from "../../kernels/band_scale.wgsl" with { type: "text" };
import windowSource from "../../kernels/band_window.wgsl" with { type: "text" };
import { Kernel } from "../gpu/kernel.ts";
import { type Parameter, rowsOf, spread, Storage, storageBytes, Value, vec4s } from "../graph/graph.ts";
import { size4, WORKGROUP } from "./elementwise.ts";
import { sumChunks } from "./norm.ts";

const windowKernel = new Kernel("band_window", windowSource);
const momentsKernel = new Kernel("band_moments", momentsSource);
const scaleKernel = new Kernel("band_scale", scaleSource);
const joinKernel = new Kernel("band_join", joinSource);

/** One picture from the top down; each band is [1, rows, width, channels]. */
export type Bands = readonly Value[];

/** What a convolution of some rows of the output reads. */
export interface Window {
  /** The band that these rows come from. */
  band: number;
  /** Row of the picture convolved at which the window begins, counted from the top of the band; -1 is the one above. */
  first: number;
  rows: number;
  /** Columns of zeros before and after the picture. */
  left: number;
  right: number;
  /** Convolve the picture's nearest-neighbour enlargement by this factor. */
  factor?: number;
  /** Beyond an edge lies the opposite one, not zeros; as the graph's target has it where absent. */
  wraps?: boolean;
  /** What {@link bandNorm} gave: the window is of the picture normalised and through SiLU. */
  scale?: Value;
}

/** [1, rows, left + factor · width + right, channels] of the picture, zeros or the opposite edge where it has ended. */
export function bandWindow(
  bands: Bands,
  { band, first, rows, left, right, factor = 1, scale, wraps = bands[0].graph.target.wraps }: Window,
): Value {
  const x = bands[band], [, height, inWidth, channels] = x.shape, dtype = x.graph.target.operandType;
  const above = bands[band - 1] ?? (wraps ? bands.at(-1) : undefined);
  const below = bands[band + 1] ?? (wraps ? bands[0] : undefined);
  const width = left + factor * inWidth + right, shape = [1, rows, width, channels];
  const total = rowsOf(shape) * vec4s(shape);
  return x.graph.record(windowKernel, { shape, dtype }, {
    operands: { above, x, below, scale },
    constants: { NORM: scale ? 1 : 0, WRAP: wraps ? 1 : 0, Input: x.dtype, Output: dtype },
    shape: {
      ...{ size4: total, width, channels4: vec4s(shape), first, left, factor, inWidth, rows: height },
      ...{ aboveRows: above?.shape[1] ?? 0, belowRows: below?.shape[1] ?? 0 },
    },
    workgroups: spread(Math.ceil(total / WORKGROUP)),
  });
}

/** What group_norm makes of a picture: a scale and a shift a channel, [1, 2, channels] with their padding. */
export function bandNorm(
  bands: Bands,
  weight: Parameter,
  bias: Parameter,
  { groups = 32, epsilon = 1e-5 } = {},
): Value {
  const { graph } = bands[0], channels = bands[0].shape.at(-1)!;
  if (channels % groups) {
    throw new RangeError(`Cannot group_norm: ${channels} channels do not split into ${groups} groups`);
  }
  const stride = 4 * vec4s(bands[0].shape), output = { shape: [1, 2, stride], dtype: "f32" } as const;
  let before: Value | undefined, pixelsBefore = 0;
  for (const x of bands) {
    const { sums, pixels, chunks } = sumChunks(x), Input = x.dtype;
    before = graph.record(momentsKernel, output, {
      operands: { before, x, sums },
      constants: { Input },
      shape: { stride, chunks, pixels, pixelsBefore },
      workgroups: [Math.ceil(stride / WORKGROUP)],
      loops: chunks,
    });
    pixelsBefore += pixels;
  }
  return graph.record(scaleKernel, output, {
    operands: { moments: before!, weight, bias },
    shape: { channels, stride, groups, pixels: pixelsBefore, epsilon },
    workgroups: [Math.ceil(stride / WORKGROUP)],
    loops: 2 * channels / groups,
  });
}

/**
 * `layer` of `x` [..., channels], row by row the same: in as few parts of its rows as it takes for values of `channels` to
 * keep the bound of the graph's target, and at once where there is none.
 */
export function inParts(x: Value, channels: number, layer: (part: Value) => Value): Value {
  const rows = rowsOf(x.shape), { maxBytes = Infinity } = x.graph.target;
  const most = Math.floor(maxBytes / storageBytes([1, channels], x.dtype));
  if (rows <= most) return layer(x);
  const picture = [x.view([1, rows, 1, x.shape.at(-1)!])], size = Math.ceil(rows / Math.ceil(rows / most));
  const parts: Value[] = [];
  for (let first = 0; first < rows; first += size) {
    const window = { band: 0, first, rows: Math.min(size, rows - first), left: 0, right: 0 };
    parts.push(layer(bandWindow(picture, window)));
  }
  const whole = joinBands(parts);
  return whole.view([...x.shape.slice(0, -1), whole.shape.at(-1)!]);
}

/** The whole picture [1, height, width, channels]. */
export function joinBands(bands: Bands): Value {
  const [{ graph, dtype, shape: [, , width, channels] }] = bands;
  if (bands.length === 1) return bands[0];
  const shape = [1, bands.reduce((sum, band) => sum + band.shape[1], 0), width, channels];
  const y = new Value(graph, shape, dtype, new Storage(storageBytes(shape, dtype)));
  let first4 = 0;
  for (const x of bands) {
    graph.update(joinKernel, "y", {
      operands: { x, y },
      constants: { Scalar: dtype },
      shape: { size4: size4(x), first4 },
      workgroups: spread(Math.ceil(size4(x) / WORKGROUP)),
    });
    first4 += size4(x);
  }
  return y;
}
