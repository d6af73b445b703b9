import { deepStrictEqual, match, ok, strictEqual, throws } from "node:assert/strict";
import { bindings, shapeFields, specialise } from "../../src/gpu/wgsl.ts";
import { files, read } from "../files.ts";

const source = `// A comment that names LANES = 4u;
const LANES = 8u;
const BLOCKS = LANES / 4u;
const LIMIT = 0.5;
alias Scalar = f32;
alias Row = vec4<f32>;
`;

Deno.test("specialising replaces the right side of a declaration and nothing else", () => {
  strictEqual(
    specialise(source, { LANES: 16, Scalar: "u32", LIMIT: 2 }),
    source.replace("const LANES = 8u", "const LANES = 16u").replace("Scalar = f32", "Scalar = u32").replace("0.5", "2"),
  );
  strictEqual(specialise(source, {}), source);
});

Deno.test("an alias of f16, or of a vec4 of it, enables f16 in front", () => {
  strictEqual(specialise(source, { Scalar: "f16" }).split("\n")[0], "enable f16;");
  strictEqual(specialise(source, { Row: "vec4<f16>" }).split("\n")[0], "enable f16;");
  strictEqual(specialise("alias Half = f16;", {}), "enable f16;\nalias Half = f16;");
  ok(!specialise(source, { Scalar: "f32" }).includes("enable"));
});

Deno.test("a name that the kernel does not declare is an error", () => {
  throws(() => specialise(source, { WIDTH: 3 }), {
    name: "RangeError",
    message: "Cannot specialise WIDTH: the kernel declares no const or alias of that name",
  });
  throws(() => specialise("fn main() { const INNER = 1u; }", { INNER: 2 }), /Cannot specialise INNER/);
  throws(() => specialise(source, { LANE: 3 }), /Cannot specialise LANE:/, "part of a name is not the name");
});

/** A loop as kernels write it. */
const loop = (counter: string, bound: string, body: string) =>
  `// unroll\nfor (var ${counter} = 0u; ${counter} < ${bound}; ${counter}++) {${body}}`;

/** Without the white space that does not matter. */
const squeeze = (code: string) => code.replace(/\s+/g, " ").trim();

Deno.test("an unrolled loop is its body once for each value of the counter, in braces", () => {
  strictEqual(
    squeeze(specialise(loop("i", "3u", " a[i] = i; "), {})),
    "{ a[0u] = 0u; } { a[1u] = 1u; } { a[2u] = 2u; }",
  );
  strictEqual(squeeze(specialise(loop("i", "0u", " a[i] = i; "), {})), "", "no turns, no body");
});

Deno.test("only whole names are counters", () => {
  strictEqual(
    squeeze(specialise(loop("i", "2u", " pi += i * index; x.ij = i; "), {})).match(/pi|index|ij/g)?.length,
    6,
  );
});

Deno.test("unrolled loops nest, and the bound of the inner one may be the outer one's counter", () => {
  const nested = loop("i", "2u", loop("j", "2u", " f(i, j); "));
  strictEqual(squeeze(specialise(nested, {})), "{{ f(0u, 0u); } { f(0u, 1u); }} {{ f(1u, 0u); } { f(1u, 1u); }}");
  const triangle = loop("i", "3u", loop("j", "i", " f(i, j); "));
  strictEqual(specialise(triangle, {}).match(/f\(\d+u, \d+u\)/g)?.join(" "), "f(1u, 0u) f(2u, 0u) f(2u, 1u)");
});

Deno.test("a bound is an expression over constants, as specialised, that may come of other constants", () => {
  const count = (bound: string, constants = {}) =>
    (specialise(source + loop("i", bound, " f(); "), constants).match(/f\(\);/g) ?? []).length;
  strictEqual(count("LANES"), 8);
  strictEqual(count("BLOCKS"), 2);
  strictEqual(count("BLOCKS", { LANES: 16 }), 4);
  strictEqual(count("(LANES + 3u) * 2u % 5u"), 2);
  strictEqual(count("LANES - 2u - 1u"), 5, "from the left");
  strictEqual(count("7u / 2u"), 3);
});

Deno.test("a bound that is not constant is an error", () => {
  for (const bound of ["shape.size", "count", "LIMIT", "min(LANES, 2u)", "LANES / 0u"]) {
    throws(() => specialise(source + loop("i", bound, ""), {}), {
      name: "RangeError",
      message: `Cannot unroll over i < ${bound}: the bound is not constant`,
    });
  }
  throws(() => specialise(loop("i", "2u", " if (true) { ").slice(0, -1), {}), {
    message: "Cannot unroll: a loop's brace is never closed",
  });
});

Deno.test("loops without the comment stay loops", () => {
  const plain = "for (var i = 0u; i < 2u; i++) { f(i); }";
  strictEqual(specialise(plain, {}), plain);
});

Deno.test("bindings come in the order of their numbers, with what each wants bound", () => {
  const declared = `
alias Weights = texture_storage_2d<rgba16float, read>;
@group(0) @binding(3) var<uniform> shape: Shape;
@group(0) @binding(1) var weight: Weights;
@group(0) @binding(2) var<storage, read_write> y: array<vec4f>;
@group(0) @binding(4) var packed: texture_storage_2d<rgba32float, write>;
@group(0) @binding(0) var<storage, read> x: array<vec4<Scalar>>; // [row]`;
  deepStrictEqual(bindings(declared), [
    { index: 0, name: "x", layout: { buffer: { type: "read-only-storage" } } },
    { index: 1, name: "weight", layout: { storageTexture: { format: "rgba16float", access: "read-only" } } },
    { index: 2, name: "y", layout: { buffer: { type: "storage" } } },
    { index: 3, name: "shape", layout: { buffer: { type: "uniform" } } },
    { index: 4, name: "packed", layout: { storageTexture: { format: "rgba32float", access: "write-only" } } },
  ]);
});

Deno.test("shape fields come in their order with their types, whatever the comments between them say", () => {
  deepStrictEqual(
    shapeFields("struct Shape {\n  rows: u32, // wide: f32\n  scale: f32,\n  // low: u32\n  at: i32,\n}"),
    [{ name: "rows", type: "u32" }, { name: "scale", type: "f32" }, { name: "at", type: "i32" }],
  );
  deepStrictEqual(shapeFields("fn main() {}"), []);
});

Deno.test("every kernel on disk has its bindings numbered from 0 without a gap, the Shape last", () => {
  for (const path of files("kernels/")) {
    const declared = bindings(read(path));
    if (path.startsWith("kernels/lib/") || declared[0]?.index !== 0) continue; // a part of a kernel
    match(path, /\.wgsl$/);
    deepStrictEqual(declared.map(({ index }) => index), declared.map((_, i) => i), path);
    strictEqual(declared.at(-1)!.name, "shape", path);
  }
});
