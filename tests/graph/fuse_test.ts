import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { fuse } from "../../src/graph/fuse.ts";
import { Graph, Parameter, type Value } from "../../src/graph/graph.ts";
import { add, addRow, gelu, silu } from "../../src/ops/elementwise.ts";
import { conv2d } from "../../src/ops/conv2d.ts";
import { gatedLinear, linear } from "../../src/ops/matmul.ts";
import { groupNorm } from "../../src/ops/norm.ts";
import { portable, softwareF16 } from "./targets.ts";

const channels = new Parameter([8], "vector");
const weight = new Parameter([8, 8], "matmul"), kernel3 = new Parameter([8, 8, 3, 3], "matmul");
const norm = (x: Value) => groupNorm(x, channels, channels, { groups: 2 });
const conv = (x: Value) => conv2d(x, kernel3, channels, { padding: 1 });

/** Records, keeps the result as `y` and fuses; returns the names of what is left, with what was folded in. */
function fused(record: (graph: Graph, x: Value) => Value, target = portable): string[] {
  const graph = new Graph(target);
  graph.keep("y", record(graph, graph.input("x", [2, 4, 4, 8], target.hiddenType)));
  fuse(graph);
  return graph.dispatches.map(({ kernel, constants }) =>
    [kernel.name, ...["SILU", "SHIFT", "RESIDUAL"].filter((name) => constants[name] === 1)].join(" ")
  );
}

const norms = ["group_norm_sums", "group_norm_scale"];

Deno.test("SiLU folds into the group norm before it", () => {
  deepStrictEqual(fused((_, x) => silu(norm(x))), [...norms, "group_norm SILU"]);
  deepStrictEqual(fused((_, x) => silu(norm(x)), softwareF16), [...norms, "group_norm SILU"]);
});

Deno.test("other activations do not, and neither does SiLU into anything else", () => {
  deepStrictEqual(fused((_, x) => gelu(norm(x))), [...norms, "group_norm", "unary"]);
  deepStrictEqual(fused((_, x) => silu(conv(x))), ["matmul_tiled", "unary"]);
  deepStrictEqual(fused((_, x) => silu(silu(x))), ["unary", "unary"]);
});

Deno.test("a sum folds into the matmul that made one of its terms, whichever side it stands on", () => {
  deepStrictEqual(fused((_, x) => add(conv(x), x)), ["matmul_tiled RESIDUAL"]);
  deepStrictEqual(fused((_, x) => add(x, conv(x))), ["matmul_tiled RESIDUAL"]);
  deepStrictEqual(fused((_, x) => add(linear(x, weight), x), softwareF16), ["matmul_texture f32·f16 RESIDUAL"]);
});

Deno.test("a sum stays apart from a gated layer, which stores no sums", () => {
  const gated = new Parameter([16, 8], "gated"), bias = new Parameter([16], "vector");
  deepStrictEqual(fused((_, x) => add(gatedLinear(x, gated, bias), x)), ["matmul_tiled", "add"]);
});

Deno.test("a row an image folds into the matmul before it, and a sum after both", () => {
  const row = (graph: Graph) => graph.input("row", [2, 8], "f32");
  deepStrictEqual(fused((graph, x) => addRow(conv(x), row(graph))), ["matmul_tiled SHIFT"]);
  deepStrictEqual(fused((graph, x) => add(addRow(conv(x), row(graph)), x)), ["matmul_tiled SHIFT RESIDUAL"]);
});

Deno.test("a row after the sum stays apart: the kernel adds it before", () => {
  const row = (graph: Graph) => graph.input("row", [2, 8], "f32");
  deepStrictEqual(fused((graph, x) => addRow(add(conv(x), x), row(graph))), ["matmul_tiled RESIDUAL", "add_row"]);
});

Deno.test("a second row or sum stays apart", () => {
  deepStrictEqual(fused((_, x) => add(add(conv(x), x), x)), ["matmul_tiled RESIDUAL", "add"]);
  const rows = (graph: Graph) => [graph.input("a", [2, 8], "f32"), graph.input("b", [2, 8], "f32")];
  deepStrictEqual(
    fused((graph, x) => rows(graph).reduce((sum, row) => addRow(sum, row), conv(x))),
    ["matmul_tiled SHIFT", "add_row"],
  );
});

Deno.test("a row of another type than the matmul's input folds too", () => {
  const record = (graph: Graph, x: Value) => addRow(conv(norm(x)), graph.input("row", [2, 8], "f32"));
  deepStrictEqual(fused(record, softwareF16).slice(3), ["matmul_texture f32·f16 SHIFT"]);
});

Deno.test("of two matmuls' sum one takes the other's result, which is made before", () => {
  const graph = new Graph(portable), x = graph.input("x", [1, 2, 2, 8], "f32");
  const [a, b] = [conv(x), conv(x)];
  graph.keep("y", add(a, b));
  fuse(graph);
  deepStrictEqual(graph.dispatches.map(({ operands }) => operands.y === b || operands.residual === b), [true, true]);
});

Deno.test("a value that is read twice is not folded away", () => {
  deepStrictEqual(
    fused((_, x) => {
      const h = norm(x);
      return add(silu(h), h);
    }),
    [...norms, "group_norm", "unary", "add"],
  );
  deepStrictEqual(
    fused((_, x) => {
      const h = conv(x);
      return add(h, h);
    }),
    ["matmul_tiled", "add"],
  );
  deepStrictEqual(
    fused((_, x) => {
      const h = conv(x);
      return add(h, h.view(x.shape));
    }),
    ["matmul_tiled", "add"],
  );
});

Deno.test("a value that the host reads is not folded away", () => {
  deepStrictEqual(
    fused((graph, x) => {
      const h = norm(x);
      graph.keep("h", h);
      return silu(h);
    }),
    [...norms, "group_norm", "unary"],
  );
  deepStrictEqual(
    fused((graph, x) => {
      const h = conv(x);
      graph.keep("h", h);
      return add(h, x);
    }),
    ["matmul_tiled", "add"],
  );
});

Deno.test("fusing twice changes nothing more", () => {
  const graph = new Graph(portable), x = graph.input("x", [1, 4, 4, 8], "f32");
  graph.keep("y", add(conv(silu(norm(conv(silu(norm(x)))))), x));
  fuse(graph);
  const once = [...graph.dispatches];
  fuse(graph);
  deepStrictEqual(graph.dispatches, once);
  strictEqual(once.length, 8);
});

Deno.test("a convolution of several kernels takes in what is added to it as a whole, and becomes its parts once", () => {
  const graph = new Graph(softwareF16), x = graph.input("x", [2, 17, 15, 2048], "f16");
  const residual = graph.input("residual", [2, 17, 15, 96], "f32");
  const large = new Parameter([96, 2048, 3, 3], "convolution"), bias = new Parameter([96], "vector");
  graph.keep("y", add(conv2d(x, large, bias, { padding: 1 }), residual));
  strictEqual(graph.dispatches.length, 2);
  fuse(graph);
  const part = ["winograd_input", "matmul_texture f16", "winograd_output"];
  deepStrictEqual(graph.dispatches.map(({ kernel }) => kernel.name), [...part, ...part]);
  deepStrictEqual(graph.dispatches.map(({ constants }) => constants.RESIDUAL ?? 0), [0, 0, 1, 0, 0, 1]);
  const once = [...graph.dispatches];
  fuse(graph);
  deepStrictEqual(graph.dispatches, once);
});

Deno.test("the sum's type, not the matmul's, is what the fused matmul writes", () => {
  const graph = new Graph(softwareF16), x = graph.input("x", [1, 4, 8], "f32");
  const h = linear(groupNorm(x, channels, channels, { groups: 2 }), weight); // f16, of f32
  graph.keep("y", add(h, x)); // f32
  fuse(graph);
  const { kernel, constants, operands } = graph.dispatches.at(-1)!;
  deepStrictEqual([kernel.name, constants.Output, constants.Residual], ["matmul_texture f32·f16", "f32", "f32"]);
  ok(operands.residual === x);
});
