/** Linear layers and convolutions, alone and with the sums that fuse into them. */
import { conv2d, type ConvolutionOptions } from "../../../src/ops/conv2d.ts";
import { gatedLinear, linear } from "../../../src/ops/matmul.ts";
import { add, addRow } from "../../../src/ops/elementwise.ts";
import { geglu } from "../../reference/activations.ts";
import * as reference from "../../reference/conv2d.ts";
import { linear as linearReference } from "../../reference/linear.ts";
import * as sums from "../../reference/sums.ts";
import type { Tensor } from "../../reference/tensor.ts";
import type { Shape } from "../../../src/tensor/shape.ts";
import { type Case, f16Rounding, type Named, type Table, type Weight } from "../case.ts";

const bounds = { f32: 1e-6, f16: f16Rounding };

function linearCase(shape: Shape, out: number, { bias = true } = {}): Case {
  const weights: Named<Weight> = { weight: { shape: [out, shape.at(-1)!], layout: "matmul" } };
  if (bias) weights.bias = { shape: [out], layout: "vector" };
  return {
    name: `[${shape}] to ${out}${bias ? "" : ", no bias"}`,
    inputs: { x: { shape, stored: "operand" } },
    weights,
    record: ({ x }, { weight, bias }) => ({ y: linear(x, weight, bias) }),
    reference: ({ x }, { weight, bias }) => ({ y: linearReference(x, weight, bias) }),
  };
}

/** One number; widths that are no multiple of 4; rows and columns just below, at and above a tile; a timestep's row. */
export const linearTable: Table = {
  op: "linear()",
  bounds,
  cases: [
    linearCase([1, 1], 1),
    linearCase([1, 3], 5),
    linearCase([1, 320], 1280),
    linearCase([7, 5], 3, { bias: false }),
    linearCase([2, 17], 33),
    linearCase([16, 16], 32),
    linearCase([17, 23], 31, { bias: false }),
    linearCase([63, 12], 64),
    linearCase([3, 77, 20], 70),
    linearCase([2, 5, 13, 19], 129),
    // Inputs by eights, which a software driver reads from a texture: less than a row of it, and more than one.
    linearCase([1, 8], 1),
    linearCase([3, 77, 24], 70, { bias: false }),
    linearCase([130, 136], 131),
  ],
};

/** Over 1e9 operations, where the widest tile is taken, and no dimension is a multiple of a tile's. */
export const largeLinearTable: Table = {
  op: "linear() over its widest tile",
  bounds,
  cases: [linearCase([1003, 520], 1011)],
};

function gatedCase(shape: Shape, out: number, dtype: Weight["dtype"] = "f32"): Case {
  return {
    name: `[${shape}] to ${out} and as many gates, of ${dtype}`,
    inputs: { x: { shape, stored: "operand" } },
    weights: {
      weight: { shape: [2 * out, shape.at(-1)!], layout: "gated", dtype },
      bias: { shape: [2 * out], layout: "vector", dtype },
    },
    record: ({ x }, { weight, bias }) => ({ y: gatedLinear(x, weight, bias) }),
    reference: ({ x }, { weight, bias }) => ({ y: geglu(linearReference(x, weight, bias)) }),
  };
}

/**
 * One vec4 of values; odd numbers of them, of which halves are not stored by eights; rows and columns below, at and above a
 * tile; inputs by eights and not; weights packed by the host, of halves, and by kernels; the U-Net's narrowest.
 */
export const gatedTable: Table = {
  op: "gatedLinear()",
  bounds,
  cases: [
    gatedCase([1, 8], 4),
    gatedCase([1, 3], 8),
    gatedCase([2, 5, 16], 12, "f16"),
    gatedCase([17, 24], 40, "bf16"),
    gatedCase([65, 7], 60, "f16"),
    gatedCase([63, 32], 72, "f16"),
    gatedCase([3, 21, 40], 136),
    gatedCase([2, 16, 320], 1280, "f16"),
  ],
};

/** Over 3.5e8 operations, where the tile is a large one, and a weight of several pieces, one of them values and gates. */
export const largeGatedTable: Table = {
  op: "gatedLinear() over its widest tile",
  bounds,
  cases: [gatedCase([130, 1032], 2052, "f16")],
};

/** A residual, a timestep's row for all images or for each, and both, which freezing fuses into the matmul. */
export const fusedTable: Table = {
  op: "conv2d() with what is added to it",
  bounds,
  cases: [[1, 1, 1, 3, 5], [2, 3, 7, 6, 10], [3, 5, 5, 8, 35], [2, 5, 7, 24, 69]].flatMap((sizes) =>
    withSums(sizes, "matmul")
  ),
};

/** Windows, weights and products are stored in halves each, and an output sums nine products: see {@link f16Rounding}. */
const winogradRounding = { f32: 1e-3, f16: 1e-3 };

/** The same by Winograd's algorithm, which fuses as a whole. */
export const fusedWinogradTable: Table = {
  op: "conv2d() by Winograd's algorithm with what is added to it",
  bounds: winogradRounding,
  // The second over two parts, the tile of large matmuls, and a last part that is not full.
  cases: [...withSums([2, 5, 3, 256, 256], "convolution"), withSums([2, 17, 15, 2048, 96], "convolution")[3]],
};

function withSums([images, height, width, inner, out]: number[], layout: "matmul" | "convolution"): Case[] {
  const common = {
    weights: {
      weight: { shape: [out, inner, 3, 3], layout },
      bias: { shape: [out], layout: "vector" },
    } as Named<Weight>,
  };
  const x = { shape: [images, height, width, inner], stored: "operand" } as const;
  const residual = { shape: [images, height, width, out], stored: "hidden" } as const;
  const padding = 1, size = `${images} of ${height}×${width}, ${inner} to ${out} channels`;
  const rowCases = [...new Set([1, images])].flatMap((rows): Case[] => {
    const row = { shape: [rows, out], stored: "operand" } as const;
    return [
      {
        ...common,
        name: `${size}, ${rows} rows`,
        inputs: { x, row },
        record: ({ x, row }, { weight, bias }) => ({ y: addRow(conv2d(x, weight, bias, { padding }), row) }),
        reference: ({ x, row }, { weight, bias }) => ({
          y: sums.addRow(convolved(x, weight, bias, { padding }), row),
        }),
      },
      {
        ...common,
        name: `${size}, ${rows} rows, a residual`,
        inputs: { x, row, residual },
        record: ({ x, row, residual }, { weight, bias }) => ({
          y: add(residual, addRow(conv2d(x, weight, bias, { padding }), row)),
        }),
        reference: ({ x, row, residual }, { weight, bias }) => ({
          y: sums.add(residual, sums.addRow(convolved(x, weight, bias, { padding }), row)),
        }),
      },
    ];
  });
  return [...rowCases, {
    ...common,
    name: `${size}, a residual`,
    inputs: { x, residual },
    record: ({ x, residual }, { weight, bias }) => ({ y: add(conv2d(x, weight, bias, { padding }), residual) }),
    reference: ({ x, residual }, { weight, bias }) => ({
      y: sums.add(convolved(x, weight, bias, { padding }), residual),
    }),
  }];
}

/** The reference under the op's options. */
export function convolved(
  x: Tensor,
  weight: Tensor,
  bias: Tensor,
  { stride, padding, paddingAfter, enlargeTo, wraps }: ConvolutionOptions,
): Tensor {
  const picture = enlargeTo ? reference.enlarge(x, enlargeTo) : x;
  return reference.conv2d(picture, weight, bias, { stride, before: padding, after: paddingAfter, wraps });
}

function convCase(x: Shape, out: number, kernel: readonly [number, number], options: ConvolutionOptions = {}): Case {
  return {
    name: `[${x}] to ${out}, ${kernel.join("×")}, ${JSON.stringify(options)}`,
    inputs: { x: { shape: x, stored: "operand" } },
    weights: {
      weight: { shape: [out, x[3], ...kernel], layout: "matmul" },
      bias: { shape: [out], layout: "vector" },
    },
    record: ({ x }, { weight, bias }) => ({ y: conv2d(x, weight, bias, options) }),
    reference: ({ x }, { weight, bias }) => ({ y: convolved(x, weight, bias, options) }),
  };
}

const padding = 1;
export const convTable: Table = {
  op: "conv2d()",
  bounds,
  cases: [
    // One pixel, one row, one column.
    convCase([1, 1, 1, 1], 1, [3, 3], { padding }),
    convCase([1, 1, 9, 5], 3, [3, 3], { padding }),
    convCase([2, 11, 1, 4], 6, [3, 3], { padding }),
    // No padding; a kernel that is not square; a 1×1 convolution; one that fits exactly once.
    convCase([1, 5, 7, 3], 5, [3, 3]),
    convCase([1, 6, 5, 2], 7, [1, 5], { padding: 0 }),
    convCase([2, 3, 5, 10], 8, [1, 1]),
    convCase([3, 3, 3, 7], 9, [3, 3]),
    // The U-Net's and the VAE's ways down, from even and odd sizes.
    convCase([2, 8, 6, 5], 6, [3, 3], { stride: 2, padding }),
    convCase([1, 7, 5, 6], 5, [3, 3], { stride: 2, padding }),
    convCase([2, 8, 6, 4], 4, [3, 3], { stride: 2, padding: 0, paddingAfter: 1 }),
    convCase([1, 9, 7, 3], 6, [3, 3], { stride: 2, padding: 0, paddingAfter: 1 }),
    convCase([1, 5, 5, 4], 4, [3, 3], { padding: 2, paddingAfter: 0 }),
    // The ways up: twice, to the odd size of a skip, from one pixel.
    convCase([2, 3, 4, 6], 5, [3, 3], { padding, enlargeTo: [6, 8] }),
    convCase([1, 5, 5, 4], 7, [3, 3], { padding, enlargeTo: [9, 9] }),
    convCase([2, 5, 3, 3], 4, [3, 3], { padding, enlargeTo: [9, 7] }),
    convCase([3, 1, 1, 8], 8, [3, 3], { padding, enlargeTo: [2, 1] }),
    // Inputs by eights: every way above again.
    convCase([2, 9, 7, 16], 70, [3, 3], { padding }),
    convCase([2, 7, 9, 8], 5, [3, 3], { stride: 2, padding: 0, paddingAfter: 1 }),
    convCase([2, 5, 3, 24], 9, [3, 3], { padding, enlargeTo: [9, 7] }),
    convCase([1, 4, 6, 8], 6, [3, 3], { padding, wraps: true }),
    // Edges that join: one pixel, odd sizes, both ways down, the way up, more than the picture's own size.
    convCase([1, 1, 1, 3], 4, [3, 3], { padding, wraps: true }),
    convCase([2, 5, 7, 6], 5, [3, 3], { padding, wraps: true }),
    convCase([2, 8, 6, 5], 6, [3, 3], { stride: 2, padding, wraps: true }),
    convCase([1, 9, 7, 3], 6, [3, 3], { stride: 2, padding: 0, paddingAfter: 1, wraps: true }),
    convCase([1, 3, 4, 6], 5, [3, 3], { padding, enlargeTo: [6, 8], wraps: true }),
    convCase([1, 2, 3, 4], 4, [3, 3], { padding: 4, wraps: true }),
    // More than one tile of rows and columns, images that share a tile.
    convCase([3, 13, 11, 10], 43, [3, 3], { padding }),
    convCase([2, 17, 19, 40], 72, [3, 3], { padding }),
  ],
};

function winogradCase(x: Shape, out: number, options: ConvolutionOptions = {}, dtype?: Weight["dtype"]): Case {
  const plain = convCase(x, out, [3, 3], options);
  const weight = { shape: [out, x[3], 3, 3], layout: "convolution", dtype } as const;
  return { ...plain, name: `${plain.name}${dtype ? ` of ${dtype}` : ""}`, weights: { ...plain.weights, weight } };
}

/**
 * 3×3 convolutions by Winograd's algorithm where the target takes it: one pixel, odd sizes, edges that join, an enlargement,
 * a band's window without padding, more tiles than a part and images that share one.
 */
export const winogradTable: Table = {
  op: "conv2d() by Winograd's algorithm",
  bounds: winogradRounding,
  cases: [
    winogradCase([1, 1, 1, 256], 256, { padding }),
    winogradCase([2, 5, 7, 256], 264, { padding }, "f16"),
    winogradCase([3, 4, 3, 264], 256, { padding, wraps: true }, "bf16"),
    winogradCase([1, 3, 4, 320], 256, { padding, enlargeTo: [6, 7] }),
    winogradCase([1, 7, 6, 256], 256),
    winogradCase([2, 17, 15, 2048], 32, { padding }),
  ],
};

/** The decoder's last convolution takes tall tiles one vec4 column a lane wide; here at over 1e9 operations. */
export const narrowConvTable: Table = {
  op: "conv2d() to few channels over tall tiles",
  bounds,
  cases: [convCase([1, 61, 67, 500], 29, [3, 3], { padding })],
};
