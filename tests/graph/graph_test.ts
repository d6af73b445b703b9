import { deepStrictEqual, ok, strictEqual, throws } from "node:assert/strict";
import fc from "fast-check";
import { Kernel } from "../../src/gpu/kernel.ts";
import { Graph, rowsOf, spread, storageBytes, vec4s } from "../../src/graph/graph.ts";
import { add, silu } from "../../src/ops/elementwise.ts";
import { portable } from "./targets.ts";

const kernel = new Kernel("example", "");

Deno.test("a value's last dimension is stored in whole vec4s", () => {
  strictEqual(storageBytes([2, 3, 5], "f32"), 2 * 3 * 8 * 4);
  strictEqual(storageBytes([2, 3, 5], "f16"), 2 * 3 * 8 * 2);
  deepStrictEqual([vec4s([2, 3, 5]), rowsOf([2, 3, 5])], [2, 6]);
  deepStrictEqual([vec4s([7]), rowsOf([7])], [2, 1]);
});

Deno.test("a view shares its value's memory and keeps the last dimension", () => {
  const x = new Graph(portable).input("x", [2, 3, 5, 4], "f32");
  const view = x.view([2, 15, 4]);
  strictEqual(view.storage, x.storage);
  throws(() => x.view([2, 3, 4, 5]), { message: "Cannot view [2, 3, 5, 4] as [2, 3, 4, 5]" });
  throws(() => x.view([2, 16, 4]), { message: "Cannot view [2, 3, 5, 4] as [2, 16, 4]" });
});

Deno.test("an op refuses values of two graphs", () => {
  const a = new Graph(portable).input("a", [1, 4], "f32"), b = new Graph(portable).input("b", [1, 4], "f32");
  throws(() => add(a, b), { name: "RangeError", message: "Cannot mix values of two graphs in add" });
  strictEqual(a.graph.dispatches.length, 0);
});

Deno.test("a name is given once in a graph", () => {
  const graph = new Graph(portable), x = graph.input("x", [1, 4], "f32");
  throws(() => graph.keep("x", silu(x)), { message: 'Cannot name a second value "x" in one graph' });
});

Deno.test("a dispatch of too many workgroups, or of none, is refused by name", () => {
  for (const workgroups of [[65536], [1, 65536], [1, 1, 65536], [0], [1, 0], [Number.NaN]]) {
    throws(() => new Graph(portable).record(kernel, { shape: [1], dtype: "f32" }, { operands: {}, workgroups }), {
      name: "RangeError",
      message: `Cannot dispatch example over [${workgroups}] workgroups: each must be 1 to 65535`,
    });
  }
  const graph = new Graph(portable);
  graph.record(kernel, { shape: [1], dtype: "f32" }, { operands: {}, workgroups: [65535, 65535, 65535] });
  deepStrictEqual(graph.dispatches[0].workgroups, [65535, 65535, 65535]);
});

Deno.test("a dispatch that would loop more often than a software driver does is refused by name", () => {
  const record = (loops: number) =>
    new Graph(portable).record(kernel, { shape: [1], dtype: "f32" }, { operands: {}, workgroups: [1], loops });
  record(65535);
  throws(() => record(65536), {
    name: "RangeError",
    message: "Cannot dispatch example: 65536 loop iterations in one invocation, 65535 at most",
  });
});

Deno.test("spread() covers every count with workgroups that keep the limit, and wastes less than a row of them", () => {
  fc.assert(fc.property(fc.integer({ min: 1, max: 65535 ** 2 }), (count) => {
    const [x, y] = spread(count);
    ok(x >= 1 && x <= 65535 && y >= 1 && y <= 65535);
    ok(x * y >= count && x * (y - 1) < count);
  }));
  deepStrictEqual(spread(65535), [65535, 1]);
  deepStrictEqual(spread(65536), [65535, 2]);
});
