/** Normalisation over channel groups of a picture, and over the channels of a row. */
import groupSource from "../../kernels/group_norm.wgsl" with { type: "text" };
import groupScaleSource from "../../kernels/group_norm_scale.wgsl" with { type: "text" };
import groupSumsSource from "../../kernels/group_norm_sums.wgsl" with { type: "text" };
import layerSource from "../../kernels/layer_norm.wgsl" with { type: "text" };
import subgroupSource from "../../kernels/lib/sum_subgroup.wgsl" with { type: "text" };
import workgroupSource from "../../kernels/lib/sum_workgroup.wgsl" with { type: "text" };
import { Kernel } from "../gpu/kernel.ts";
import { type Parameter, rowsOf, spread, type Value, vec4s } from "../graph/graph.ts";
import { size4, WORKGROUP } from "./elementwise.ts";

const groupSums = new Kernel("group_norm_sums", groupSumsSource);
const groupScale = new Kernel("group_norm_scale", groupScaleSource);
const group = new Kernel("group_norm", groupSource);
const layer = {
  subgroup: new Kernel("layer_norm subgroup", subgroupSource + layerSource),
  workgroup: new Kernel("layer_norm workgroup", workgroupSource + layerSource),
};

/** A row's, by subgroups and without. */
export const layerNormKernels: readonly Kernel[] = Object.values(layer);

/** Pixels summed by one invocation of the first kernel. */
const chunkPixels = 256;

/**
 * What a norm makes of groups of so few values stays as its input is stored: a later such norm amplifies the rounding
 * (measured at 1×1 pixels, two channels a group: 7e-3 of the U-Net's output through f16, 1e-3 without).
 */
const fewValues = 128;

/** What `x` [images, …, channels] adds up to in chunks of pixels: [images, chunks, 2, channels with their padding]. */
export function sumChunks(x: Value): { sums: Value; pixels: number; chunks: number } {
  const images = x.shape[0], channels4 = vec4s(x.shape), pixels = rowsOf(x.shape) / images;
  const chunks = Math.ceil(pixels / chunkPixels);
  const sums = x.graph.record(groupSums, { shape: [images, chunks, 2, channels4 * 4], dtype: "f32" }, {
    operands: { x },
    constants: { Input: x.dtype },
    shape: { images, pixels, channels4, chunks, chunkPixels },
    workgroups: spread(Math.ceil(images * chunks * channels4 / WORKGROUP)),
    loops: chunkPixels,
  });
  return { sums, pixels, chunks };
}

/** Normalises each of `groups` channel groups of `x` [images, …, channels] on its own. */
export function groupNorm(x: Value, weight: Parameter, bias: Parameter, { groups = 32, epsilon = 1e-5 } = {}): Value {
  const images = x.shape[0], channels = x.shape.at(-1)!, channels4 = vec4s(x.shape);
  if (channels % groups) {
    throw new RangeError(`Cannot group_norm: ${channels} channels do not split into ${groups} groups`);
  }
  const { sums, pixels, chunks } = sumChunks(x), Input = x.dtype;
  const scale = x.graph.record(groupScale, { shape: [images, 2, channels4 * 4], dtype: "f32" }, {
    operands: { x, sums, weight, bias },
    constants: { Input },
    shape: { pixels, channels, channels4, groups, chunks, epsilon },
    workgroups: [groups, images],
    // Three sums over the chunks in three passes over the channels, and two trees.
    loops: Math.ceil(channels / groups / WORKGROUP) * (3 * chunks + 3) + 2 * Math.log2(WORKGROUP),
  });
  const dtype = pixels * channels / groups <= fewValues ? x.dtype : x.graph.target.operandType;
  return x.graph.record(group, { shape: x.shape, dtype }, {
    operands: { x, scale },
    constants: { Input, Output: dtype },
    shape: { size4: size4(x), imageSize4: size4(x) / images, channels4 },
    workgroups: spread(Math.ceil(size4(x) / WORKGROUP)),
  });
}

/** Normalises each row of channels of `x` [..., channels]. */
export function layerNorm(x: Value, weight: Parameter, bias: Parameter, { epsilon = 1e-5 } = {}): Value {
  const rows = rowsOf(x.shape), LANES = x.graph.target.subgroupSize, channels4 = vec4s(x.shape);
  const dtype = x.graph.target.operandType;
  return x.graph.record(LANES ? layer.subgroup : layer.workgroup, { shape: x.shape, dtype }, {
    operands: { x, weight, bias },
    constants: { Input: x.dtype, Output: dtype, ...(LANES ? { LANES, BUTTERFLY: Math.log2(LANES) } : {}) },
    shape: { channels: x.shape.at(-1)!, channels4, rows, epsilon },
    workgroups: spread(rows),
    loops: 3 * Math.ceil(channels4 / (LANES || WORKGROUP)) + 2 * Math.log2(WORKGROUP),
  });
}
