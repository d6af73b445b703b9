import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { fnv1a32, hash, normal, uniform, weights } from "../../src/parity/hash_weights.ts";
import { elements } from "../../src/tensor/shape.ts";

interface Stream {
  name: string;
  shape: number[];
  values: number[];
}

const vectors: {
  fnv1a32: [text: string, hash: number][];
  hash: [key: string, index: number, hash: number][];
  weights: { name: string; shape: number[]; index: number; f16: number; f16_bits: number }[];
  normal: Stream;
  uniform: Stream;
} = JSON.parse(Deno.readTextFileSync(`${import.meta.dirname}/../oracle/hashweights/vectors.json`));

Deno.test("fnv1a32() gives the known answers, beyond ASCII too", () => {
  for (const [text, expected] of vectors.fnv1a32) strictEqual(fnv1a32(text), expected, text);
});

Deno.test("hash() gives the known answers at small, large and wrapping indexes", () => {
  for (const [key, index, expected] of vectors.hash) strictEqual(hash(key, index, 1)[0], expected, `${key} ${index}`);
});

Deno.test("hash() gives the same values in one call as in many", () => {
  const whole = hash("a", 5, 100);
  deepStrictEqual([...whole], Array.from({ length: 100 }, (_, i) => hash("a", 5 + i, 1)[0]));
});

Deno.test("weights() gives the known float16 bits for matrices, tables, biases and scales", () => {
  for (const { name, shape, index, f16, f16_bits } of vectors.weights) {
    const found = weights(name, shape, { begin: index, count: 1 });
    strictEqual(found[0], f16, `${name} ${index}`);
    strictEqual(new Uint16Array(found.buffer)[0], f16_bits, `${name} ${index}`);
  }
});

Deno.test("weights() gives a whole tensor, and the same values as its parts", () => {
  const whole = weights("a.weight", [3, 5]);
  strictEqual(whole.length, 15);
  deepStrictEqual(weights("a.weight", [3, 5], { begin: 4 }), whole.slice(4));
});

Deno.test("weights() applies the gain to the deviation, not to the offset", () => {
  const [plain, doubled] = [weights("norm.weight", [8]), weights("norm.weight", [8], { gain: 2 })];
  for (const [i, value] of plain.entries()) ok(Math.abs((doubled[i] - 1) - 2 * (value - 1)) < 2e-3);
});

Deno.test("normal() and uniform() give the known values", () => {
  deepStrictEqual([...normal(vectors.normal.name, elements(vectors.normal.shape))], vectors.normal.values);
  deepStrictEqual([...uniform(vectors.uniform.name, elements(vectors.uniform.shape))], vectors.uniform.values);
});
