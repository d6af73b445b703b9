import { deepStrictEqual, ok, throws } from "node:assert/strict";
import { Graph } from "../../src/graph/graph.ts";
import { add, addRow, geglu, gelu, quickGelu, scale, silu } from "../../src/ops/elementwise.ts";
import { assertClose, openBenches, testRegister, types } from "../gpu/harness.ts";
import * as activations from "../reference/activations.ts";
import * as sums from "../reference/sums.ts";
import { drawer, map, tensor } from "../reference/tensor.ts";

const benches = await openBenches({ types: ["f32", "f16", "mixed"] });
/** Round-off of one or two operations; f16 rounds once, at the end. */
const bound = { f32: 5e-7, f16: 4e-4 };

/** One pixel, one row, channels that are no multiple of 4, a prime size, several images, many workgroups. */
const shapes = [[1, 1, 1, 1], [1, 1, 1, 5], [1, 7, 1, 3], [2, 3, 5, 7], [3, 1, 64], [1, 13, 17, 12], [2, 31, 40, 33]];

for (
  const [name, op, reference] of [
    ["silu()", silu, activations.silu],
    ["gelu()", gelu, activations.gelu],
    ["quickGelu()", quickGelu, activations.quickGelu],
  ] as const
) {
  Deno.test(`${name} matches the reference for every shape`, async () => {
    for (const bench of benches) {
      for (const shape of shapes) {
        const x = drawer(bench.stored)(shape, 3);
        const { y } = await bench.run({ inputs: { x } }, ({ x }) => ({ y: op(x) }));
        assertClose(y, map(x, reference), bound[bench.stored], `${name} of [${shape}], ${bench.name}`);
      }
    }
  });

  Deno.test(`${name} is right from -12 to 12 at every point, and finite however large its input`, async () => {
    for (const bench of benches) {
      const points = Array.from({ length: 4001 }, (_, i) => (i - 2000) * 0.006);
      const Numbers = bench.stored === "f16" ? Float16Array : Float32Array;
      const x = tensor([1, 1, 4007], Numbers.from([...points, 60000, -60000, 1000, -1000, 100, -100]));
      const { y } = await bench.run({ inputs: { x } }, ({ x }) => ({ y: op(x) }));
      const step = bench.stored === "f16" ? 2 ** -11 : 2 ** -22; // half a unit in the last place, some for arithmetic
      for (const [i, value] of x.data.entries()) {
        const expected = reference(value), error = Math.abs(y.data[i] - expected);
        ok(
          error <= step * Math.abs(expected) + 5e-7 * Math.max(1, Math.abs(value)),
          `${name} of ${value}: ${y.data[i]}`,
        );
      }
    }
  });
}

Deno.test("geglu() matches the reference for every shape", async () => {
  for (const bench of benches) {
    for (const shape of [[1, 1, 8], [1, 5, 16], [2, 3, 5, 24], [3, 77, 40], [1, 64, 1024]]) {
      const x = drawer(bench.stored)(shape, 2);
      const { y } = await bench.run({ inputs: { x } }, ({ x }) => ({ y: geglu(x) }));
      assertClose(y, activations.geglu(x), bound[bench.stored], `geglu of [${shape}], ${bench.name}`);
    }
  }
});

Deno.test("geglu() refuses a half that is not whole vec4s", () => {
  const graph = new Graph({ subgroupSize: 0, weightStorage: "buffer", ...types.f32 });
  throws(() => geglu(graph.input("x", [1, 6], "f32")), {
    message: "Cannot geglu [1, 6]: half its channels is no multiple of 4",
  });
});

Deno.test("add() matches the reference for every shape and pair of types", async () => {
  for (const bench of benches) {
    const { hiddenType } = bench.target;
    for (const shape of shapes) {
      const draw = drawer(bench.stored), a = draw(shape), b = draw(shape);
      for (const dtype of new Set([bench.stored, hiddenType])) {
        const { y } = await bench.run({ inputs: { a, b: { ...b, dtype } } }, ({ a, b }) => ({ y: add(a, b) }));
        assertClose(y, sums.add(a, b), bound[hiddenType], `add of [${shape}] and ${dtype}, ${bench.name}`);
      }
    }
  }
});

Deno.test("add() refuses two shapes", () => {
  const graph = new Graph({ subgroupSize: 0, weightStorage: "buffer", ...types.f32 });
  throws(() => add(graph.input("a", [1, 8], "f32"), graph.input("b", [8, 1], "f32")), {
    message: "Cannot add [1, 8] and [8, 1]",
  });
});

Deno.test("addRow() adds one row an image, or the same one to all", async () => {
  for (const bench of benches) {
    for (const shape of shapes.filter(({ length }) => length === 4)) {
      const draw = drawer(bench.stored), x = draw(shape), channels = shape.at(-1)!;
      for (const images of new Set([1, shape[0]])) {
        const row = draw([images, channels]);
        const { y } = await bench.run({ inputs: { x, row } }, ({ x, row }) => ({ y: addRow(x, row) }));
        assertClose(y, sums.addRow(x, row), bound[bench.stored], `addRow of [${shape}], ${images}, ${bench.name}`);
      }
    }
  }
});

Deno.test("addRow() refuses rows that are not one, or one an image", () => {
  const graph = new Graph({ subgroupSize: 0, weightStorage: "buffer", ...types.f32 });
  const x = graph.input("x", [3, 2, 2, 8], "f32");
  for (const [i, shape] of [[2, 8], [3, 4], [1, 1, 8]].entries()) {
    throws(() => addRow(x, graph.input(`row ${i}`, shape, "f32")), /^RangeError: Cannot add the rows \[/);
  }
});

Deno.test("scale() multiplies and narrows", async () => {
  for (const bench of benches) {
    for (const shape of shapes) {
      const x = drawer("f32")(shape), factor = 1 / 0.18215;
      const { y } = await bench.run(
        { inputs: { x: { ...x, dtype: "f32" } } },
        ({ x }) => ({ y: scale(x, factor, bench.stored) }),
      );
      assertClose(y, sums.scale(x, factor), bound[bench.stored], `scale of [${shape}], ${bench.name}`);
    }
  }
});

Deno.test("more than 65,535 workgroups go on along the second axis", async () => {
  const [bench] = benches;
  const x = tensor([1, 65536 * 64 + 1, 4], new Float64Array(4 * (65536 * 64 + 1)).map((_, i) => i % 1021));
  const { y } = await bench.run({ inputs: { x } }, ({ x }) => ({ y: scale(x, 2, "f32") }));
  deepStrictEqual(y.data, x.data.map((value) => 2 * value));
});

testRegister(import.meta.url);
