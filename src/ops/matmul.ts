/** The matmul family: linear and convolution, by whichever kernel suits the device. */
import inputBuffer from "../../kernels/lib/input_buffer.wgsl" with { type: "text" };
import matmulSource from "../../kernels/lib/matmul.wgsl" with { type: "text" };
import octetF16 from "../../kernels/lib/octet_f16.wgsl" with { type: "text" };
import octetF32 from "../../kernels/lib/octet_f32.wgsl" with { type: "text" };
import weightBuffer from "../../kernels/lib/weight_buffer.wgsl" with { type: "text" };
import pairsF16 from "../../kernels/lib/weight_pairs_f16.wgsl" with { type: "text" };
import pairsF32 from "../../kernels/lib/weight_pairs_f32.wgsl" with { type: "text" };
import weightTexture from "../../kernels/lib/weight_texture.wgsl" with { type: "text" };
import outputVec4 from "../../kernels/lib/output_vec4.wgsl" with { type: "text" };
import outputTexels from "../../kernels/lib/output_texels.wgsl" with { type: "text" };
import shuffleSource from "../../kernels/matmul_shuffle.wgsl" with { type: "text" };
import texturesSource from "../../kernels/matmul_texture.wgsl" with { type: "text" };
import tiledSource from "../../kernels/matmul_tiled.wgsl" with { type: "text" };
import { type Constants, Kernel } from "../gpu/kernel.ts";
import { type Parameter, rowsOf, type StorageType, type Value, vec4s } from "../graph/graph.ts";
import { formatShape } from "../tensor/shape.ts";

const buffered = matmulSource + outputVec4 + inputBuffer;
const worded = matmulSource + outputTexels;
const kernels = {
  shuffle: {
    buffer: new Kernel("matmul_shuffle", buffered + weightBuffer + shuffleSource),
    texture: new Kernel("matmul_shuffle texture", buffered + weightTexture + shuffleSource),
  },
  tiled: {
    buffer: new Kernel("matmul_tiled", buffered + weightBuffer + tiledSource),
    texture: new Kernel("matmul_tiled texture", buffered + weightTexture + tiledSource),
  },
};

/** Both sides from textures, by how the input and the weights are stored. */
const textured = {
  f32: {
    f32: new Kernel("matmul_texture", worded + octetF32 + pairsF32 + texturesSource),
    f16: new Kernel("matmul_texture f32·f16", worded + octetF32 + pairsF16 + texturesSource),
  },
  f16: {
    f32: new Kernel("matmul_texture f16·f32", worded + octetF16 + pairsF32 + texturesSource),
    f16: new Kernel("matmul_texture f16", worded + octetF16 + pairsF16 + texturesSource),
  },
};

/** How `conv2d` moves over its picture. */
export interface ConvolutionOptions {
  stride?: number;
  /** Rows above and columns left of the picture; below and right of it as many, or `paddingAfter`. */
  padding?: number;
  paddingAfter?: number;
  /** Convolve the nearest-neighbour enlargement to this [height, width] without storing it. */
  enlargeTo?: readonly [height: number, width: number];
  /** Beyond an edge lies the opposite one, not zeros; as the graph's target has it where absent. */
  wraps?: boolean;
}

/** `x` [..., in] times `weight` [out, in, ...ones] plus `bias` [out]. */
export function linear(x: Value, weight: Parameter, bias?: Parameter): Value {
  const rows = rowsOf(x.shape);
  const picture = { height: 1, width: rows, outHeight: 1, outWidth: rows, fullHeight: 1, fullWidth: rows };
  const shape = [...x.shape.slice(0, -1), weight.shape[0]];
  const options = { ...picture, kernelWidth: 1, taps: 1, stride: 1, padding: 0 };
  return matmul(x, weight, bias, { shape, dtype: x.graph.target.operandType }, options);
}

/** 2-D convolution of `x` [images, height, width, in] with `weight` [out, in, kernelHeight, kernelWidth]. */
export function conv2d(
  x: Value,
  weight: Parameter,
  bias: Parameter | undefined,
  { stride = 1, padding = 0, paddingAfter = padding, enlargeTo, wraps = x.graph.target.wraps }: ConvolutionOptions = {},
): Value {
  const [images, height, width] = x.shape;
  const [out, , kernelHeight = 1, kernelWidth = 1] = weight.shape;
  const [fullHeight, fullWidth] = enlargeTo ?? [height, width];
  const outHeight = Math.floor((fullHeight + padding + paddingAfter - kernelHeight) / stride) + 1;
  const outWidth = Math.floor((fullWidth + padding + paddingAfter - kernelWidth) / stride) + 1;
  const picture = { height, width, outHeight, outWidth, fullHeight, fullWidth };
  const taps = kernelHeight * kernelWidth;
  const output = { shape: [images, outHeight, outWidth, out], dtype: x.graph.target.hiddenType };
  const constants: Constants = wraps && padding + paddingAfter > 0 ? { WRAP: 1 } : {};
  return matmul(x, weight, bias, output, { ...picture, kernelWidth, taps, stride, padding }, constants);
}

interface Picture {
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

function matmul(
  x: Value,
  weight: Parameter,
  bias: Parameter | undefined,
  output: { shape: number[]; dtype: StorageType },
  { height: inHeight, width: inWidth, ...picture }: Picture,
  constants: Constants = {},
): Value {
  const channels = x.shape.at(-1)!;
  if (weight.shape[1] !== channels) {
    throw new RangeError(
      `Cannot multiply ${formatShape(x.shape)} by a weight ${formatShape(weight.shape)}: ${channels} is not ${
        weight.shape[1]
      }`,
    );
  }
  const rows = rowsOf(output.shape), in4 = vec4s(x.shape), out4 = vec4s(output.shape);
  const { subgroupSize, weightStorage, weightType } = x.graph.target;
  const flops = 2 * rows * picture.taps * channels * output.shape.at(-1)!;
  const tile = subgroupSize ? shuffleTile(out4, flops, subgroupSize) : tiledTile;
  const groups = Math.ceil(rows / tile.rows);
  const recording = {
    operands: { x, weight, bias, shift: undefined, residual: undefined },
    shape: { rows, inHeight, inWidth, ...picture, in4, out4, shiftRows: 1 },
    workgroups: [Math.ceil(out4 / tile.columns4), Math.min(groups, 32768), Math.ceil(groups / 32768)],
    flops,
  };
  const isEnlarged = picture.fullHeight !== inHeight || picture.fullWidth !== inWidth;
  const common = { Output: output.dtype, ...tile.constants, ...constants, ...(isEnlarged && { ENLARGED: 1 }) };
  if (subgroupSize && weightStorage === "texture" && channels % 8 === 0 && x.dtype !== "u32") {
    const loops = picture.taps * (in4 / 2 + 1);
    // Halves are stored by eights: what has an odd number of vec4s is small, and stays f32.
    const dtype = out4 % 2 ? "f32" : output.dtype;
    return x.graph.record(textured[x.dtype][weightType], { shape: output.shape, dtype }, {
      ...recording,
      textures: ["x"],
      constants: { ...common, Output: dtype },
      loops,
    });
  }
  const weights: Constants = weightStorage === "texture"
    ? { Weights: `texture_storage_2d<${weightType === "f16" ? "rgba16float" : "rgba32float"}, read>` }
    : { Weight: weightType };
  return x.graph.record(kernels[tile.kernel][weightStorage], output, {
    ...recording,
    constants: { Input: x.dtype, ...weights, ...common },
    loops: picture.taps * (in4 + 1),
  });
}

/** A workgroup's share of the output and the constants that make it so. */
interface Tile {
  kernel: "shuffle" | "tiled";
  rows: number;
  columns4: number;
  constants: Record<string, number>;
}

const tiledTile: Tile = { kernel: "tiled", rows: 64, columns4: 16, constants: {} };

/** Below this many flops a matmul is over before its tile matters, and small tiles compile several times faster. */
const smallFlops = 3.5e8;

/** 32 rows × 2 vec4 columns a lane measured best where the output has them. */
function shuffleTile(out4: number, flops: number, LANES: number): Tile {
  const isSmall = flops < smallFlops;
  const COLUMNS = isSmall || out4 <= LANES || LANES >= 16 ? 1 : 2;
  const ROWS = Math.max(LANES, isSmall ? 16 : 32);
  return { kernel: "shuffle", rows: ROWS, columns4: LANES * COLUMNS, constants: { LANES, ROWS, COLUMNS } };
}
