import { deepStrictEqual, ok } from "node:assert/strict";
import { emphasise } from "../../src/prompt/emphasis.ts";

const states = () => Float32Array.from({ length: 12 }, (_, i) => Math.sin(i) + 0.3);
const weights = [1, 1.3, 0, -0.5];
const mean = (values: Float32Array) => values.reduce((sum, value) => sum + value, 0) / values.length;

Deno.test("emphasise() multiplies each token and gives the whole its mean back, which no_norm leaves out", () => {
  const [plain, original, bare] = [states(), states(), states()];
  emphasise([{ states: original, weights }], "original");
  emphasise([{ states: bare, weights }], "no_norm");
  deepStrictEqual(bare, Float32Array.from(plain, (value, i) => value * weights[Math.floor(i / 3)]));
  ok(Math.abs(mean(original) - mean(plain)) < 1e-7);
  const scale = mean(plain) / mean(bare);
  for (const [i, value] of original.entries()) ok(Math.abs(value - bare[i] * scale) < 1e-6);
});

Deno.test("emphasise() counts a chunk as often as it stands in the schedule", () => {
  const [twice, once, again, single] = [states(), states(), states(), states()];
  emphasise([{ states: twice, weights, count: 2 }, { states: single, weights: [1, 1, 2, 1] }], "original");
  emphasise(
    [{ states: once, weights }, { states: again, weights }, { states: states(), weights: [1, 1, 2, 1] }],
    "original",
  );
  for (const [i, value] of twice.entries()) ok(Math.abs(value - once[i]) < 1e-6);
});

Deno.test("emphasise() changes nothing where all weights are 1, or where it is to ignore them", () => {
  const [ones, ignored] = [states(), states()];
  emphasise([{ states: ones, weights: [1, 1, 1, 1] }], "original");
  emphasise([{ states: ignored, weights }], "ignore");
  deepStrictEqual([ones, ignored], [states(), states()]);
});
