import { deepStrictEqual, doesNotMatch, match, ok, strictEqual, throws } from "node:assert/strict";
import { bindings, shapeFields, specialise } from "../../src/gpu/wgsl.ts";
import { files, read } from "../files.ts";

const source = `
const TILE = 4u;
const HALF = TILE / 2u;
const FACTOR = 0.5;
alias Scalar = f32;
alias Weights = texture_storage_2d<rgba32float, read>;

struct Shape {
  rows: u32, // a comment with a field: i32
  offset: i32,
  epsilon: f32,
}

@group(0) @binding(2) var<uniform> shape: Shape;
@group(0) @binding(0) var<storage, read> x: array<vec4<Scalar>>;
@group(0) @binding(1) var weight: Weights;
@group(0) @binding(3) var<storage, read_write> y: array<Scalar>;
`;

/** The copies that unrolling makes of a body, without the braces and white space. */
function unrolled(loop: string, constants = {}): string[] {
  const text = specialise(source + loop, constants).split("var<storage, read_write> y: array<Scalar>;")[1];
  return text.split(/[{}\s]+/).filter((word) => word);
}

Deno.test("specialise() replaces the right side of a const and keeps its kind of number", () => {
  const changed = specialise(source, { TILE: 8, FACTOR: 2 });
  match(changed, /^const TILE = 8u;$/m);
  match(changed, /^const FACTOR = 2;$/m);
  strictEqual(specialise(source, {}), source);
});

Deno.test("specialise() puts `enable f16` in front once an alias is f16, and only then", () => {
  ok(specialise(source, { Scalar: "f16" }).startsWith("enable f16;\n"));
  doesNotMatch(specialise(source, { Scalar: "f32" }), /enable/);
  ok(specialise("alias Element = f32;", { Element: "vec4<f16>" }).startsWith("enable f16;\n"));
  // A texture of halves is read as f32 and needs no feature.
  doesNotMatch(specialise(source, { Weights: "texture_storage_2d<rgba16float, read>" }), /enable/);
});

Deno.test("specialise() refuses a name that the kernel does not declare", () => {
  throws(() => specialise(source, { TILES: 8 }), {
    name: "RangeError",
    message: "Cannot specialise TILES: the kernel declares no const or alias of that name",
  });
  // A local `let` and a field are no declarations of the module.
  throws(() => specialise("fn f() {\n  const inner = 1u;\n}", { inner: 2 }), /^RangeError: Cannot specialise inner/);
});

Deno.test("a loop marked `unroll` is written out, its counter a literal", () => {
  const loop = "// unroll\nfor (var i = 0u; i < TILE; i++) { a[i]+=tiling; }";
  deepStrictEqual(unrolled(loop), ["a[0u]+=tiling;", "a[1u]+=tiling;", "a[2u]+=tiling;", "a[3u]+=tiling;"]);
});

Deno.test("the bound of an unrolled loop may be an expression of constants, as specialised", () => {
  const loop = (bound: string) => `// unroll\nfor (var i = 0u; i < ${bound}; i++) { a[i]; }`;
  strictEqual(unrolled(loop("HALF")).length, 2);
  strictEqual(unrolled(loop("HALF"), { TILE: 16 }).length, 8);
  strictEqual(unrolled(loop("(TILE + 3u) * 2u % 5u - 1u")).length, 3);
  strictEqual(unrolled(loop("7u / 2u")).length, 3);
});

Deno.test("unrolled loops may stand in each other, and bounds may be the outer counter", () => {
  const loop = `// unroll
  for (var i = 0u; i < 3u; i++) {
    // unroll
    for (var j = 0u; j < i; j++) { a[i*TILE+j]; }
  }`;
  deepStrictEqual(unrolled(loop), ["a[1u*TILE+0u];", "a[2u*TILE+0u];", "a[2u*TILE+1u];"]);
});

Deno.test("a loop whose bound is no constant is not unrolled but refused", () => {
  throws(() => unrolled("// unroll\nfor (var i = 0u; i < shape.rows; i++) { a[i]; }"), {
    name: "RangeError",
    message: "Cannot unroll over i < shape.rows: the bound is not constant",
  });
  throws(
    () => unrolled("// unroll\nfor (var i = 0u; i < UNKNOWN; i++) { a[i]; }"),
    /^RangeError: Cannot unroll over i/,
  );
  throws(() => unrolled("// unroll\nfor (var i = 0u; i < TILE; i++) { a[i];"), {
    name: "SyntaxError",
    message: "Cannot unroll: a loop's brace is never closed",
  });
});

Deno.test("a loop that is not marked stays a loop", () => {
  const loop = "for (var i = 0u; i < TILE; i++) { a[i]; }";
  ok(specialise(source + loop, {}).endsWith(loop));
});

Deno.test("no kernel has a mark to unroll that the rewriting passes over", () => {
  const kernels = [...files("kernels/")];
  ok(kernels.length > 20);
  for (const path of kernels) {
    const text = read(path), marks = text.match(/\/\/ unroll/g)?.length ?? 0;
    const loops = text.match(/\/\/ unroll\s*\n\s*for \(var (\w+) = 0u; \1 < [^;]+; \1\+\+\) \{/g)?.length ?? 0;
    strictEqual(loops, marks, path);
  }
});

Deno.test("bindings() reads each binding's kind from its declaration, in the order of their numbers", () => {
  deepStrictEqual(bindings(source), [
    { index: 0, name: "x", layout: { buffer: { type: "read-only-storage" } } },
    { index: 1, name: "weight", layout: { storageTexture: { format: "rgba32float", access: "read-only" } } },
    { index: 2, name: "shape", layout: { buffer: { type: "uniform" } } },
    { index: 3, name: "y", layout: { buffer: { type: "storage" } } },
  ]);
  const [, weight] = bindings(specialise(source, { Weights: "texture_storage_2d<rgba16float, write>" }));
  deepStrictEqual(weight.layout, { storageTexture: { format: "rgba16float", access: "write-only" } });
});

Deno.test("shapeFields() lists the fields of Shape with their types, comments left out", () => {
  deepStrictEqual(shapeFields(source), [
    { name: "rows", type: "u32" },
    { name: "offset", type: "i32" },
    { name: "epsilon", type: "f32" },
  ]);
  deepStrictEqual(shapeFields("fn main() {}"), []);
});

Deno.test("every kernel numbers its bindings from 0 without a gap, and none has the name of another", () => {
  const lib = (name: string) => read(`kernels/lib/${name}.wgsl`);
  const parts: Record<string, string> = {
    attention: lib("attention") + lib("attention_buffer"),
    attention_texture: lib("attention"),
    embedding: lib("tables_buffer"),
    matmul: lib("matmul") + lib("output_vec4") + lib("input_buffer") + lib("weight_buffer"),
    matmul_texture: lib("matmul") + lib("output_texels") + lib("weight_pairs_f16"),
    repack: lib("stored") + lib("packed_texture"),
    repack_matmul: lib("stored") + lib("packed_column") + lib("packed_texture"),
    repack_pairs: lib("stored") + lib("packed_column") + lib("packed_pairs"),
    repack_winograd: lib("stored") + lib("packed_pairs"),
  };
  for (const path of files("kernels/")) {
    if (path.startsWith("kernels/lib/")) continue;
    const name = path.slice("kernels/".length, -".wgsl".length);
    const declared = bindings((parts[name] ?? parts[name.split("_")[0]] ?? "") + read(path));
    deepStrictEqual(declared.map(({ index }) => index), declared.map((_, i) => i), path);
    strictEqual(new Set(declared.map(({ name }) => name)).size, declared.length, path);
  }
});
