import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { openDevice } from "../../src/gpu/device.ts";
import { Graph } from "../../src/graph/graph.ts";
import { freeze, planBytes } from "../../src/graph/plan.ts";
import { profile } from "../../src/graph/profile.ts";
import { moveSteady } from "../../src/graph/steady.ts";
import { add, gelu, scale } from "../../src/ops/elementwise.ts";
import { portable } from "./targets.ts";

const device = await openDevice();
Deno.test.afterAll(() => device[Symbol.dispose]());

const shape = [3, 8];

/** y = 3 · (2x) + gelu(2c) + d, with 2c and its gelu steady; d is written each time, in the middle. */
function record({ steady }: { steady: boolean }): Graph {
  const graph = new Graph(portable);
  const x = graph.input("x", shape, "f32"), c = graph.input("c", shape, "f32", { steady });
  const twice = scale(x, 2, "f32"), other = scale(c, 2, "f32");
  const sum = add(scale(twice, 3, "f32"), gelu(other));
  graph.keep("y", add(sum, graph.input("d", shape, "f32")));
  return graph;
}

const filled = (value: number) => new Float32Array(24).fill(value);

Deno.test("what follows from a steady input runs after that was written, and its values are those of a plan that always runs it", async () => {
  using plan = freeze(device, record({ steady: true })), other = freeze(device, record({ steady: false }));
  strictEqual(other.launches.length - other.repeated.length, 0);
  strictEqual(plan.launches.length, other.launches.length);
  strictEqual(plan.launches.length - plan.repeated.length, 2, "doubling and gelu");
  const results: Float32Array[] = [];
  const writes: Record<string, number>[] = [{ x: 1, c: 1, d: 0 }, { x: 2 }, { c: 3 }, { d: 5, x: 0 }, {}, {
    c: 1,
    x: 1,
    d: 0,
  }];
  for (const values of writes) {
    for (const each of [plan, other]) {
      for (const [name, value] of Object.entries(values)) each.write(name, filled(value));
      each.run();
    }
    results.push(await plan.read("y"));
    deepStrictEqual(results.at(-1), await other.read("y"), JSON.stringify(values));
  }
  deepStrictEqual(results[5], results[0]);
});

Deno.test("values made once are kept where no later value of a run gets, and counted", async () => {
  const graph = record({ steady: true }), bytes = planBytes(graph);
  strictEqual(planBytes(graph), bytes, "as often as it is asked");
  using plan = freeze(device, graph);
  strictEqual(plan.report.namedBytes, (4 + 1) * 24 * 4, "x, c, d, y and the one that is kept");
  plan.write("c", filled(1));
  for (const x of [1, 2, 3]) { // slots are used again and again
    plan.write("x", filled(x));
    plan.run();
  }
  plan.write("x", filled(0));
  plan.run();
  const [kept] = await plan.read("y");
  ok(Math.abs(kept - 1.9546) < 1e-3, `gelu(2) is ${kept}`);
});

Deno.test("what has a name is made each time, and everything is where no input is steady", () => {
  const graph = new Graph(portable), c = graph.input("c", shape, "f32", { steady: true });
  graph.keep("y", scale(c, 2, "f32"));
  graph.keep("z", add(gelu(c), graph.input("x", shape, "f32")));
  moveSteady(graph);
  strictEqual(graph.steady, 1);
  const none = record({ steady: false });
  moveSteady(none);
  strictEqual(none.steady, 0);
});

Deno.test("of prompts of many chunks nothing is kept: it would take more memory than it saves time", () => {
  const graph = new Graph(portable), c = graph.input("c", [1 << 14, 256], "f32", { steady: true });
  const parts = Array.from({ length: 8 }, (_, i) => scale(c, i, "f32"));
  graph.keep("y", parts.reduce((sum, part) => add(sum, part), graph.input("x", c.shape, "f32")));
  moveSteady(graph);
  strictEqual(graph.steady, 0);
});

Deno.test("a profile is of what each run takes", async () => {
  using plan = freeze(device, record({ steady: true }));
  const rows = await profile(plan, 1);
  strictEqual(rows.reduce((sum, { count }) => sum + count, 0), plan.repeated.length);
});
