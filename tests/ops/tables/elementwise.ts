/** Activations, sums and concatenation. */
import { concat } from "../../../src/ops/concat.ts";
import { add, addRow, gelu, quickGelu, scale, silu } from "../../../src/ops/elementwise.ts";
import type { Value } from "../../../src/graph/graph.ts";
import type { Shape } from "../../../src/tensor/shape.ts";
import * as activations from "../../reference/activations.ts";
import * as reference from "../../reference/sums.ts";
import { fill, map, type Tensor } from "../../reference/tensor.ts";
import { type Case, f16Rounding, type Table } from "../case.ts";

const bounds = { f32: 1e-7, f16: f16Rounding };
/** WGSL lets a driver miss exp(x) by 3 + 2|x| units in the last place. */
const expBounds = { f32: 1e-6, f16: f16Rounding };
/** Of the error function, whose formula is good to 1.5e-7. */
const geluBounds = { f32: 1e-6, f16: f16Rounding };

/** One element; channels that are no multiple of 4; one pixel; one row; batches; more than one workgroup. */
const shapes: Shape[] = [[1, 1], [1, 4], [3, 5], [2, 1, 1, 7], [1, 1, 13, 6], [3, 5, 7, 3], [2, 17, 19, 10], [
  1,
  77,
  320,
]];

/** Far out on both sides, where an exponential leaves f32, and around zero. */
const extremes = (): Tensor => fill([5, 41], (i) => (i - 102) * 1.25);

function activation(op: (x: Value) => Value, expected: (x: number) => number): Case[] {
  const record = ({ x }: Record<string, Value>) => ({ y: op(x) });
  const compute = ({ x }: Record<string, Tensor>) => ({ y: map(x, expected) });
  return [
    ...shapes.map((shape): Case => ({
      name: `[${shape}]`,
      inputs: { x: { shape, stored: "operand" } },
      record,
      reference: compute,
    })),
    {
      name: "-127.5 to 127.5",
      inputs: { x: { shape: [5, 41], stored: "operand", values: extremes } },
      record,
      reference: compute,
    },
  ];
}

const addCases = shapes.map((shape): Case => ({
  name: `[${shape}]`,
  inputs: { a: { shape, stored: "hidden" }, b: { shape, stored: "operand" } },
  record: ({ a, b }) => ({ y: add(a, b) }),
  reference: ({ a, b }) => ({ y: reference.add(a, b) }),
}));

const addRowCases = shapes.flatMap((shape) =>
  [...new Set([1, shape[0]])].map((rows): Case => ({
    name: `[${shape}] and ${rows} rows`,
    inputs: { x: { shape, stored: "hidden" }, row: { shape: [rows, shape.at(-1)!], stored: "operand" } },
    record: ({ x, row }) => ({ y: addRow(x, row) }),
    reference: ({ x, row }) => ({ y: reference.addRow(x, row) }),
  }))
);

const factor = Math.fround(1 / 0.18215);
const scaleCases = shapes.map((shape): Case => ({
  name: `[${shape}]`,
  inputs: { x: { shape, stored: "f32" } },
  record: ({ x }) => ({ y: scale(x, factor, x.graph.target.operandType) }),
  reference: ({ x }) => ({ y: reference.scale(x, factor) }),
}));

/** Both widths whole vec4s, one of them, neither; sums that are whole and that are not. */
const widths = [[4, 4], [8, 20], [1, 1], [4, 3], [3, 4], [5, 7], [6, 2], [2, 1], [320, 640]];
const concatCases = widths.map(([a, b], i): Case => {
  const rows = [[1], [2, 3, 5], [3, 1, 1], [1, 41]][i % 4];
  return {
    name: `[${rows}] rows of ${a} and ${b}`,
    inputs: { a: { shape: [...rows, a], stored: "hidden" }, b: { shape: [...rows, b], stored: "hidden" } },
    record: ({ a, b }) => ({ y: concat(a, b) }),
    reference: ({ a, b }) => ({ y: reference.concat(a, b) }),
  };
});

export const siluTable: Table = { op: "silu()", bounds: expBounds, cases: activation(silu, activations.silu) };
export const quickGeluTable: Table = {
  op: "quickGelu()",
  bounds: expBounds,
  cases: activation(quickGelu, activations.quickGelu),
};
export const geluTable: Table = { op: "gelu()", bounds: geluBounds, cases: activation(gelu, activations.gelu) };
export const addTable: Table = { op: "add()", bounds, cases: addCases };
export const addRowTable: Table = { op: "addRow()", bounds, cases: addRowCases };
export const scaleTable: Table = { op: "scale()", bounds, cases: scaleCases };
export const concatTable: Table = { op: "concat()", bounds: { f32: 0, f16: 0 }, cases: concatCases };
