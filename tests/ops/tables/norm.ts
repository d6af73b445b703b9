/** Group and layer norm. */
import { silu } from "../../../src/ops/elementwise.ts";
import { groupNorm, layerNorm } from "../../../src/ops/norm.ts";
import type { Shape } from "../../../src/tensor/shape.ts";
import * as activations from "../../reference/activations.ts";
import { groupNorm as groupReference } from "../../reference/group_norm.ts";
import { layerNorm as layerReference } from "../../reference/layer_norm.ts";
import { map } from "../../reference/tensor.ts";
import { type Case, f16Rounding, normals, type Stored, type Table } from "../case.ts";

const bounds = { f32: 2e-6, f16: f16Rounding };

interface Options {
  epsilon?: number;
  /** Of every channel, in standard deviations. */
  mean?: number;
  stored?: Stored;
}

const affine = (channels: number) => ({
  weight: { shape: [channels], layout: "vector" },
  bias: { shape: [channels], layout: "vector" },
} as const);

const shifted = (shape: Shape, mean: number) => () => map(normals(shape, 7), (v) => mean + v);

function groupCase(shape: Shape, groups: number, { epsilon = 1e-5, mean = 0, stored = "hidden" }: Options = {}): Case {
  return {
    name: `[${shape}] in ${groups} groups, mean ${mean}, epsilon ${epsilon}`,
    inputs: { x: { shape, stored, values: shifted(shape, mean) } },
    weights: affine(shape.at(-1)!),
    record: ({ x }, { weight, bias }) => ({ y: groupNorm(x, weight, bias, { groups, epsilon }) }),
    reference: ({ x }, { weight, bias }) => ({ y: groupReference(x, weight, bias, groups, epsilon) }),
  };
}

/** [..., groups]: one value a group; channels that are no multiple of 4; under, at and over a chunk of 256 pixels. */
const grouped: [Shape, number][] = [
  [[2, 1, 1, 64], 32],
  [[2, 3, 5, 6], 3],
  [[3, 7, 1, 10], 5],
  [[1, 1, 13, 7], 1],
  [[1, 16, 16, 12], 4],
  [[2, 257, 1, 9], 3],
  [[3, 19, 29, 10], 2],
  [[1, 5, 7, 130], 2], // over 64 channels a group: more than one for a thread
  [[2, 9, 7, 320], 32],
];

export const groupNormTable: Table = {
  op: "groupNorm()",
  bounds,
  cases: [
    ...grouped.map(([shape, groups]) => groupCase(shape, groups)),
    groupCase([1, 17, 17, 8], 4, { epsilon: 1e-6 }),
    groupCase([2, 3, 3, 8], 2, { stored: "operand" }), // what the transformer's norm may read
  ],
};

/** One value a group: its variance is 0, so that dividing by √epsilon makes the rounding of the mean 316 times larger. */
export const loneGroupNormTable: Table = {
  op: "groupNorm() of groups of one value",
  bounds: { f32: 5e-5, f16: f16Rounding },
  cases: [groupCase([1, 1, 1, 1], 1), groupCase([1, 1, 1, 32], 32), groupCase([3, 1, 1, 6], 6)],
};

/**
 * Values far from zero. x · scale + shift takes the difference of two numbers as large as the mean, each rounded to
 * 2⁻²⁴ of it; sums of squares about zero would be wrong altogether.
 */
export const farGroupNormTable: Table = {
  op: "groupNorm() of values far from zero",
  bounds: { f32: 2e-4, f16: 5e-4 },
  cases: [
    groupCase([2, 20, 30, 6], 3, { mean: 1000, stored: "f32" }),
    groupCase([1, 3, 3, 8], 1, { mean: -1000, stored: "f32" }),
  ],
};

/** Freezing fuses the activation into the norm. */
export const groupNormSiluTable: Table = {
  op: "silu() of groupNorm()",
  bounds,
  cases: grouped.map(([shape, groups]): Case => {
    const { name, inputs, weights } = groupCase(shape, groups), epsilon = 1e-5;
    return {
      name,
      inputs,
      weights,
      record: ({ x }, { weight, bias }) => ({ y: silu(groupNorm(x, weight, bias, { groups, epsilon })) }),
      reference: ({ x }, { weight, bias }) => ({
        y: map(groupReference(x, weight, bias, groups, epsilon), activations.silu),
      }),
    };
  }),
};

function layerCase(shape: Shape, { epsilon = 1e-5, mean = 0 }: Options = {}): Case {
  return {
    name: `[${shape}], mean ${mean}, epsilon ${epsilon}`,
    inputs: { x: { shape, stored: "hidden", values: shifted(shape, mean) } },
    weights: affine(shape.at(-1)!),
    record: ({ x }, { weight, bias }) => ({ y: layerNorm(x, weight, bias, { epsilon }) }),
    reference: ({ x }, { weight, bias }) => ({ y: layerReference(x, weight, bias, epsilon) }),
  };
}

export const layerNormTable: Table = {
  op: "layerNorm()",
  bounds,
  cases: [
    ...[[1, 1], [3, 2], [5, 7], [1, 33], [2, 77, 20], [3, 1, 257], [2, 9, 320], [7, 1280]].map((shape) =>
      layerCase(shape)
    ),
    layerCase([4, 50], { epsilon: 1e-6 }),
    layerCase([4, 50], { mean: 30 }),
  ],
};
