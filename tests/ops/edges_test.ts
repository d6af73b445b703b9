import { deepStrictEqual, ok, throws } from "node:assert/strict";
import { Graph, Parameter } from "../../src/graph/graph.ts";
import { attention } from "../../src/ops/attention.ts";
import { conv2d } from "../../src/ops/conv2d.ts";
import { gatedLinear, linear } from "../../src/ops/matmul.ts";
import { groupNorm } from "../../src/ops/norm.ts";
import { toPixels } from "../../src/ops/pixels.ts";
import * as reference from "../reference/pixels.ts";
import { map, tensor } from "../reference/tensor.ts";
import { softwareF16 } from "../graph/targets.ts";
import { target } from "./budget.ts";
import { normals } from "./case.ts";
import { run } from "./harness.ts";

Deno.test("toPixels() of NaN and infinities is some level, and the pixels beside them are right", async () => {
  const x = map(normals([1, 2, 4, 3], 1), (value) => Math.fround(value / 2)), bad = 5;
  x.data.set([NaN, Infinity, -Infinity], 3 * bad);
  const { outputs: { pixels } } = await run({
    name: "toPixels()",
    inputs: { x: { shape: x.shape, stored: "f32", values: () => x } },
    record: ({ x }) => ({ pixels: toPixels(x) }),
    reference: ({ x }) => ({ pixels: tensor([1, 2, 4], reference.packPixels(x)) }),
  }, target(0));
  const found = [...pixels.tensor.data],
    expected = reference.packPixels(map(x, (value) => Number.isNaN(value) ? 0 : value));
  ok(found[bad] < 2 ** 24, `three bytes, not ${found[bad]}`);
  deepStrictEqual([found[bad] >> 8 & 255, found[bad] >> 16], [255, 0], "infinities are clamped");
  deepStrictEqual(found.toSpliced(bad, 1), expected.toSpliced(bad, 1));
});

Deno.test("groupNorm() of a constant is its bias, to the rounding that 1/√epsilon magnifies", async () => {
  const constant = { shape: [2, 5, 5, 8], data: new Float64Array(400).fill(3) };
  const { weights, outputs: { y } } = await run({
    name: "groupNorm()",
    inputs: { x: { shape: constant.shape, stored: "f32", values: () => constant } },
    weights: { weight: { shape: [8], layout: "vector" }, bias: { shape: [8], layout: "vector" } },
    record: ({ x }, { weight, bias }) => ({ y: groupNorm(x, weight, bias, { groups: 2 }) }),
    reference: (_, { bias }) => ({ y: bias }),
  }, target(0));
  for (const [i, value] of y.tensor.data.entries()) {
    ok(Math.abs(value - weights.bias.data[i % 8]) < 1e-3, `channel ${i % 8} is ${value}`);
  }
});

Deno.test("ops refuse shapes that they cannot split, multiply or pack", () => {
  const graph = new Graph(target(0)), channels = new Parameter([6], "vector");
  let count = 0;
  const input = (...shape: number[]) => graph.input(`x${count++}`, shape, "f32");
  throws(() => groupNorm(input(1, 2, 2, 6), channels, channels, { groups: 4 }), {
    message: "Cannot group_norm: 6 channels do not split into 4 groups",
  });
  throws(() => attention(input(1, 2, 10), input(1, 2, 10), input(1, 2, 10), { heads: 3 }), {
    message: "Cannot attend: 10 channels do not split into 3 heads",
  });
  throws(() => linear(input(2, 5), new Parameter([3, 4], "matmul")), {
    message: "Cannot multiply [2, 5] by a weight [3, 4]: 5 is not 4",
  });
  const narrow = new Parameter([12, 8], "gated"), plain = new Parameter([16, 8], "matmul"), must = "half its outputs";
  throws(() => gatedLinear(input(2, 8), narrow, channels), {
    message: `Cannot gate a weight [12, 8] with the layout "gated": it must be "gated", ${must} a multiple of 4`,
  });
  throws(() => gatedLinear(input(2, 8), plain, channels), {
    message: `Cannot gate a weight [16, 8] with the layout "matmul": it must be "gated", ${must} a multiple of 4`,
  });
  throws(() => conv2d(input(1, 8, 8, 3), new Parameter([8, 4, 3, 3], "matmul"), undefined, { padding: 1 }), {
    message: "Cannot multiply [1, 8, 8, 3] by a weight [8, 4, 3, 3]: 3 is not 4",
  });
  const packed = new Parameter([256, 256, 3, 3], "convolution"), software = new Graph(softwareF16);
  throws(() => conv2d(software.input("x", [1, 8, 8, 256], "f16"), packed, undefined, { stride: 2 }), {
    message: "Cannot convolve with a stride of 2: the weight is packed for a stride of 1",
  });
  throws(() => toPixels(input(1, 8, 6, 3)), { message: "Cannot pack pixels: the width 6 is no multiple of 4" });
  deepStrictEqual(graph.dispatches, [], "and record nothing");
});
