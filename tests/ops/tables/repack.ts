/** Weights as files store them, packed for the matmul kernels: proven by multiplying with them. */
import { conv2d } from "../../../src/ops/conv2d.ts";
import { linear } from "../../../src/ops/matmul.ts";
import { linear as linearReference } from "../../reference/linear.ts";
import type { Case, Table, Weight } from "../case.ts";
import { convolved, linearTable } from "./matmul.ts";

function loadedLinear(out: number, inner: number, dtype: Weight["dtype"]): Case {
  return {
    name: `[${out}, ${inner}] of ${dtype}`,
    inputs: { x: { shape: [3, inner], stored: "operand" } },
    weights: {
      weight: { shape: [out, inner], layout: "matmul", dtype },
      bias: { shape: [out], layout: "vector", dtype },
    },
    record: ({ x }, { weight, bias }) => ({ y: linear(x, weight, bias) }),
    reference: ({ x }, { weight, bias }) => ({ y: linearReference(x, weight, bias) }),
  };
}

function loadedConv(out: number, inner: number, dtype: Weight["dtype"]): Case {
  const padding = 1;
  return {
    name: `[${out}, ${inner}, 3, 3] of ${dtype}`,
    inputs: { x: { shape: [1, 3, 2, inner], stored: "operand" } },
    weights: {
      weight: { shape: [out, inner, 3, 3], layout: "matmul", dtype },
      bias: { shape: [out], layout: "vector", dtype },
    },
    record: ({ x }, { weight, bias }) => ({ y: conv2d(x, weight, bias, { padding }) }),
    reference: ({ x }, { weight, bias }) => ({ y: convolved(x, weight, bias, { padding }) }),
  };
}

/** Each dtype with odd numbers of elements, which end in the middle of a word where two share one. */
export const storedTable: Table = {
  op: "a loaded weight",
  bounds: linearTable.bounds,
  cases: (["f32", "f16", "bf16"] as const).flatMap((dtype) => [
    loadedLinear(1, 1, dtype),
    loadedLinear(5, 3, dtype),
    loadedLinear(33, 17, dtype),
    loadedConv(1, 1, dtype),
    loadedConv(7, 5, dtype),
    loadedConv(13, 6, dtype),
    loadedLinear(33, 16, dtype),
    loadedConv(7, 8, dtype),
  ]),
};

/** Over 16 MB, the most that is staged at once; in a texture, over a thousand rows of texels. */
export const piecesTable: Table = {
  op: "a weight loaded in pieces",
  bounds: linearTable.bounds,
  cases: [
    loadedLinear(4099, 1031, "f32"),
    loadedLinear(8209, 1031, "f16"),
    loadedConv(1031, 503, "f32"),
    loadedLinear(4099, 1032, "f16"),
    loadedConv(515, 504, "f32"),
  ],
};
