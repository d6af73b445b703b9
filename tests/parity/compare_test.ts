import { ok, strictEqual, throws } from "node:assert/strict";
import { differing, largestDifference, latentsTolerance, relRms } from "../../src/parity/compare.ts";

const floats = (...values: number[]) => Float32Array.from(values);

Deno.test("relRms() is the error's rms in units of the golden's", () => {
  strictEqual(relRms(floats(3, 5), floats(3, 4)), 1 / 5);
  strictEqual(relRms(floats(0, 0), floats(0, 0)), 0);
});

Deno.test("largestDifference() is in units of the largest golden value", () => {
  strictEqual(largestDifference(floats(1, -7, 2), floats(1, -8, 2)), 1 / 8);
});

Deno.test("a NaN on either side is an error that is within no tolerance", () => {
  for (const measure of [relRms, largestDifference]) {
    ok(!(measure(floats(1, NaN, 1), floats(1, 1, 1)) <= 1e9));
    ok(!(measure(floats(1, 1, 1), floats(NaN, 1, 1)) <= 1e9));
  }
});

Deno.test("an error where the golden is all zeros is within no tolerance", () => {
  strictEqual(relRms(floats(1e-9), floats(0)), Infinity);
  strictEqual(largestDifference(floats(1e-9), floats(0)), Infinity);
});

Deno.test("relRms() refuses to compare different counts, which differing() counts as differences", () => {
  throws(() => relRms(floats(1), floats(1, 2)), /Cannot compare 1 numbers with a golden of 2/);
  strictEqual(differing([1, 2, 3], [1, 5]), 2);
});

Deno.test("latentsTolerance() is wider only for the two pipelines that amplify rounding, and only in f32", () => {
  strictEqual(latentsTolerance("txt2img-ddim", "f32"), 1e-3);
  strictEqual(latentsTolerance("img2img-03", "f32"), 5e-3);
  strictEqual(latentsTolerance("img2img-03", "f16"), 4e-2);
});
