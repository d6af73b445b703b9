import { deepStrictEqual, ok, throws } from "node:assert/strict";
import { Graph } from "../../src/graph/graph.ts";
import { concat } from "../../src/ops/concat.ts";
import { add, addRow, gelu, quickGelu, scale, silu } from "../../src/ops/elementwise.ts";
import * as activations from "../reference/activations.ts";
import { fill, map, tensor } from "../reference/tensor.ts";
import { target } from "./budget.ts";
import { device, run } from "./harness.ts";

for (
  const [name, op, reference] of [
    ["silu()", silu, activations.silu],
    ["gelu()", gelu, activations.gelu],
    ["quickGelu()", quickGelu, activations.quickGelu],
  ] as const
) {
  Deno.test(`${name} is right at every point from -12 to 12, and finite however large its input`, async () => {
    const points = Array.from({ length: 4001 }, (_, i) => (i - 2000) * 0.006);
    const x = tensor([1, 1, 4007], [...points, 60000, -60000, 1000, -1000, 100, -100]);
    for (const type of device.f16 ? ["f32", "f16"] as const : ["f32"] as const) {
      const { inputs, outputs: { y } } = await run({
        name,
        inputs: { x: { shape: x.shape, stored: "operand", values: () => x } },
        record: ({ x }) => ({ y: op(x) }),
        reference: ({ x }) => ({ y: map(x, reference) }),
      }, { ...target(0), operandType: type });
      const rounding = type === "f16" ? 2 ** -11 : 2 ** -22; // of the value
      for (const [i, value] of inputs.x.data.entries()) {
        const expected = reference(value), found = y.tensor.data[i];
        // The error function is an approximation, off by 1.5e-7 at most.
        const allowed = rounding * Math.abs(expected) + 3e-7 * Math.max(1, Math.abs(value));
        ok(Math.abs(found - expected) <= allowed, `${name} of ${value} is ${found} and should be ${expected}`);
      }
    }
  });
}

Deno.test("more than 65,535 workgroups go on along the second axis", async () => {
  const shape = [1, 65535 * 64 + 65, 4];
  const { outputs: { y } } = await run({
    name: "scale()",
    inputs: { x: { shape, stored: "f32", values: () => fill(shape, (i) => i % 1021) } },
    record: ({ x }) => ({ y: scale(x, 2, "f32") }),
    reference: ({ x }) => ({ y: map(x, (value) => 2 * value) }),
  }, target(0));
  ok(y.tensor.data.every((value, i) => value === 2 * (i % 1021)));
});

Deno.test("element-wise ops refuse shapes and types that do not go together", () => {
  const graph = new Graph(target(0));
  let count = 0;
  const input = (...shape: number[]) => graph.input(`x${count++}`, shape, "f32");
  throws(() => add(input(1, 8), input(8, 1)), { message: "Cannot add [1, 8] and [8, 1]" });
  throws(() => addRow(input(3, 2, 2, 8), input(2, 8)), { message: "Cannot add the rows [2, 8] to [3, 2, 2, 8]" });
  throws(() => addRow(input(3, 2, 2, 8), input(3, 4)), { message: "Cannot add the rows [3, 4] to [3, 2, 2, 8]" });
  throws(() => concat(input(1, 5, 5, 4), input(1, 5, 4, 4)), {
    message: "Cannot concat [1, 5, 5, 4] and [1, 5, 4, 4]: all but the last must agree",
  });
  throws(() => concat(input(1, 4), graph.input("half", [1, 4], "f16")), { message: "Cannot concat f32 and f16" });
  deepStrictEqual(graph.dispatches, [], "and record nothing");
});
