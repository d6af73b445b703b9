/** The matmul family, by whichever kernel suits the device: linear layers, and what convolutions are made of. */
import finishedSource from "../../kernels/lib/finished.wgsl" with { type: "text" };
import gatedLanes from "../../kernels/lib/gated_lanes.wgsl" with { type: "text" };
import geluSource from "../../kernels/lib/gelu.wgsl" with { type: "text" };
import halvesSource from "../../kernels/lib/halves.wgsl" with { type: "text" };
import inputBuffer from "../../kernels/lib/input_buffer.wgsl" with { type: "text" };
import matmulSource from "../../kernels/lib/matmul.wgsl" with { type: "text" };
import octetF16 from "../../kernels/lib/octet_f16.wgsl" with { type: "text" };
import octetF32 from "../../kernels/lib/octet_f32.wgsl" with { type: "text" };
import weightBuffer from "../../kernels/lib/weight_buffer.wgsl" with { type: "text" };
import pairsF16 from "../../kernels/lib/weight_pairs_f16.wgsl" with { type: "text" };
import pairsF32 from "../../kernels/lib/weight_pairs_f32.wgsl" with { type: "text" };
import weightTexture from "../../kernels/lib/weight_texture.wgsl" with { type: "text" };
import outputVec4 from "../../kernels/lib/output_vec4.wgsl" with { type: "text" };
import windowSource from "../../kernels/lib/window.wgsl" with { type: "text" };
import outputTexels from "../../kernels/lib/output_texels.wgsl" with { type: "text" };
import shuffleSource from "../../kernels/matmul_shuffle.wgsl" with { type: "text" };
import texturesSource from "../../kernels/matmul_texture.wgsl" with { type: "text" };
import tiledSource from "../../kernels/matmul_tiled.wgsl" with { type: "text" };
import { type Constants, Kernel } from "../gpu/kernel.ts";
import {
  type Dispatch,
  dispatchOf,
  type Parameter,
  rowsOf,
  type StorageType,
  type Value,
  vec4s,
} from "../graph/graph.ts";
import { formatShape } from "../tensor/shape.ts";
import { tileOf } from "./tiles.ts";

const common = windowSource + geluSource + finishedSource + matmulSource;
const buffered = common + outputVec4 + inputBuffer;
const texels = common + gatedLanes + halvesSource + outputTexels;
const kernels = {
  shuffle: {
    buffer: new Kernel("matmul_shuffle", buffered + gatedLanes + weightBuffer + shuffleSource),
    texture: new Kernel("matmul_shuffle texture", buffered + gatedLanes + weightTexture + shuffleSource),
  },
  tiled: {
    buffer: new Kernel("matmul_tiled", buffered + weightBuffer + tiledSource),
    texture: new Kernel("matmul_tiled texture", buffered + weightTexture + tiledSource),
  },
};

/** A row's index is never larger: one set of weights for all. */
const oneSet = 0xffffffff;

/** Both sides from textures, by how the input and the weights are stored. */
const textured = {
  f32: {
    f32: new Kernel("matmul_texture", texels + octetF32 + pairsF32 + texturesSource),
    f16: new Kernel("matmul_texture f32·f16", texels + octetF32 + pairsF16 + texturesSource),
  },
  f16: {
    f32: new Kernel("matmul_texture f16·f32", texels + octetF16 + pairsF32 + texturesSource),
    f16: new Kernel("matmul_texture f16", texels + octetF16 + pairsF16 + texturesSource),
  },
};

/** All of them. */
export const matmulKernels: readonly Kernel[] = [kernels.shuffle, kernels.tiled, textured.f32, textured.f16]
  .flatMap((some) => Object.values<Kernel>(some));

/** `x` [..., in] times `weight` [out, in, ...ones] plus `bias` [out]. */
export function linear(x: Value, weight: Parameter, bias?: Parameter): Value {
  return lines(x, weight, bias, weight.shape[0]);
}

/**
 * value · gelu(gate), the values and then the gates being `x` [..., in] times `weight` [2 · out, in] plus `bias` [2 · out]:
 * diffusers' GEGLU.
 * @throws {RangeError} when `out` is no multiple of 4: values and gates are packed in vec4s.
 */
export function gatedLinear(x: Value, weight: Parameter, bias: Parameter): Value {
  const out = weight.shape[0] / 2;
  if (out % 4 || weight.layout !== "gated") {
    const found = `a weight ${formatShape(weight.shape)} with the layout "${weight.layout}"`;
    throw new RangeError(`Cannot gate ${found}: it must be "gated", half its outputs a multiple of 4`);
  }
  return lines(x, weight, bias, out, { GATED: 1 });
}

/** A matmul of the rows of `x`, to `channels` each. */
function lines(
  x: Value,
  weight: Parameter,
  bias: Parameter | undefined,
  channels: number,
  constants: Constants = {},
): Value {
  checkChannels(x, weight);
  const rows = rowsOf(x.shape);
  const picture = { height: 1, width: rows, outHeight: 1, outWidth: rows, fullHeight: 1, fullWidth: rows };
  const shape = [...x.shape.slice(0, -1), channels];
  const options = { ...picture, kernelWidth: 1, taps: 1, stride: 1, padding: 0 };
  return matmul(x, weight, bias, { shape, dtype: x.graph.target.operandType }, options, constants);
}

/** @throws {RangeError} when the last dimension of `x` is not what `weight` [out, in, …] multiplies. */
export function checkChannels(x: Value, weight: Parameter): void {
  const channels = x.shape.at(-1)!;
  if (weight.shape[1] !== channels) {
    throw new RangeError(
      `Cannot multiply ${formatShape(x.shape)} by a weight ${formatShape(weight.shape)}: ${channels} is not ${
        weight.shape[1]
      }`,
    );
  }
}

/** How a matmul reads its left side: see kernels/lib/matmul.wgsl. */
export interface Picture {
  height: number;
  width: number;
  outHeight: number;
  outWidth: number;
  fullHeight: number;
  fullWidth: number;
  kernelWidth: number;
  taps: number;
  stride: number;
  padding: number;
}

/** The rows that windows of `x` make, times `weight`, plus `bias`. */
export function matmul(
  x: Value,
  weight: Parameter,
  bias: Parameter | undefined,
  output: { shape: number[]; dtype: StorageType },
  { height: inHeight, width: inWidth, ...picture }: Picture,
  constants: Constants = {},
): Value {
  const channels = x.shape.at(-1)!;
  const rows = rowsOf(output.shape), in4 = vec4s(x.shape), [out] = weight.shape, out4 = Math.ceil(out / 4);
  const { subgroupSize, weightStorage, weightType } = x.graph.target;
  const flops = 2 * rows * picture.taps * channels * out;
  // By the two halves of one picture's guidance: made with others it is the same to the last bit, whatever the driver does.
  const share = x.shape.length > 2 ? 2 / x.shape[0] : 1, isGated = constants.GATED === 1;
  const tile = tileOf(x.graph.target, { rows: share * rows, out4, flops: share * flops, isGated });
  const groups = Math.ceil(rows / tile.rows);
  const recording = {
    operands: { x, weight, bias, shift: undefined, residual: undefined },
    shape: { rows, inHeight, inWidth, ...picture, in4, out4, shiftRows: 1, setRows: oneSet },
    workgroups: [Math.ceil(out4 / tile.columns4), Math.min(groups, 32768), Math.ceil(groups / 32768)],
    flops,
  };
  const isEnlarged = picture.fullHeight !== inHeight || picture.fullWidth !== inWidth;
  const constantsOf = { Output: output.dtype, ...tile.constants, ...constants, ...(isEnlarged && { ENLARGED: 1 }) };
  if (subgroupSize && weightStorage === "texture" && channels % 8 === 0 && x.dtype !== "u32") {
    const loops = picture.taps * (in4 / 2 + 1);
    // Halves are stored by eights: what has an odd number of vec4s is small, and stays f32.
    const dtype = vec4s(output.shape) % 2 ? "f32" : output.dtype;
    return x.graph.record(textured[x.dtype][weightType], { shape: output.shape, dtype }, {
      ...recording,
      textures: ["x"],
      constants: { ...constantsOf, Output: dtype },
      loops,
    });
  }
  const weights: Constants = weightStorage === "texture"
    ? { Weights: `texture_storage_2d<${weightType === "f16" ? "rgba16float" : "rgba32float"}, read>` }
    : { Weight: weightType };
  return x.graph.record(kernels[subgroupSize ? "shuffle" : "tiled"][weightStorage], output, {
    ...recording,
    constants: { Input: x.dtype, ...weights, ...constantsOf },
    loops: picture.taps * (in4 + 1),
  });
}

/**
 * Multiplies each set [rows, in] of `x` [sets, rows, in] by a set of weights of its own: `weight` has a pair texture of
 * [sets, in / 2, out / 4], see {@link packsPairs}; `y` is [sets, rows, out], and `rows` a multiple of 32.
 */
export function matmulSets(x: Value, weight: Parameter, y: Value): Dispatch {
  const [sets, setRows, inner] = x.shape, out4 = vec4s(y.shape), rows = sets * setRows;
  const flops = 2 * rows * inner * y.shape[2];
  // How many rows there are depends on the batch: as of many.
  const tile = tileOf(x.graph.target, { rows: Infinity, out4, flops: Infinity, most: 32 }), groups = rows / tile.rows;
  const line = { inHeight: 1, inWidth: rows, outHeight: 1, outWidth: rows, fullHeight: 1, fullWidth: rows };
  return dispatchOf(textured.f16.f16, {
    operands: { x, weight, bias: undefined, shift: undefined, residual: undefined, y },
    textures: ["x"],
    constants: { Output: y.dtype, ...tile.constants },
    shape: {
      ...{ rows, ...line, kernelWidth: 1, taps: 1, stride: 1, padding: 0 },
      ...{ in4: inner / 4, out4, shiftRows: 1, setRows },
    },
    workgroups: [Math.ceil(out4 / tile.columns4), Math.min(groups, 32768), Math.ceil(groups / 32768)],
    loops: inner / 8 + 1,
    flops,
  }, "y");
}
