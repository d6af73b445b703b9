import assert from "node:assert/strict";
import fc from "fast-check";
import { type Infotext, parseInfotext, writeInfotext } from "../../src/png/infotext.ts";

const parameters = { Steps: "20", Sampler: "Euler a", "CFG scale": "7", Seed: "965400086", Size: "512x768" };

Deno.test("writeInfotext() writes what A1111 writes", () => {
  assert.equal(
    writeInfotext({ prompt: "a cat,\non a mat", negativePrompt: "dog", parameters }),
    "a cat,\non a mat\nNegative prompt: dog\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 965400086, Size: 512x768",
  );
  assert.equal(
    writeInfotext({ prompt: "", negativePrompt: "", parameters: { ...parameters, Model: "a, b: c" } }),
    '\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 965400086, Size: 512x768, Model: "a, b: c"',
  );
});

Deno.test("parseInfotext() takes a last line of fewer than three parameters for prompt", () => {
  assert.deepEqual(parseInfotext("a cat\nSteps: 20, Sampler: Euler"), {
    prompt: "a cat\nSteps: 20, Sampler: Euler",
    negativePrompt: "",
    parameters: {},
  });
});

Deno.test("a prompt that A1111 would read differently comes back whole, and A1111's reading of the rest stays", () => {
  const tricky: Infotext = { prompt: " a cat\nNegative prompt: a dog\n", negativePrompt: "\n", parameters };
  assert.deepEqual(parseInfotext(writeInfotext(tricky)), tricky);
  assert.match(writeInfotext(tricky), /^ a cat\n.*\nSteps: 20, Sampler: Euler a, .*, Exact prompt: "/s);
});

const line = fc.oneof(
  fc.string({ unit: "grapheme" }),
  fc.constantFrom("Negative prompt: x", "Steps: 1, Sampler: b, Seed: 3", " ", "\n", "\r\n", '"', "\\", "a: b"),
);
const prompt = fc.array(line).map((lines) => lines.join("\n"));

Deno.test("parseInfotext(writeInfotext(x)) is x for arbitrary prompts and values", () => {
  const fields = { Steps: line, Sampler: line, "CFG scale": fc.float().map(String), Model: line };
  const values = fc.record(fields, { noNullPrototype: true });
  fc.assert(
    fc.property(prompt, prompt, values, (prompt, negativePrompt, parameters) => {
      assert.deepEqual(parseInfotext(writeInfotext({ prompt, negativePrompt, parameters })), {
        prompt,
        negativePrompt,
        parameters,
      });
    }),
    { numRuns: 2000 },
  );
});
