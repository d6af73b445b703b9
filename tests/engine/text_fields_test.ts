import { deepStrictEqual, strictEqual, throws } from "node:assert/strict";
import fc from "fast-check";
import { emphases } from "../../src/prompt/emphasis.ts";
import { promptSyntaxes } from "../../src/engine/conditioning.ts";
import { RequestError } from "../../src/engine/fields.ts";
import type { RequestField } from "../../src/engine/fields.ts";
import { infotextFields, infotextOf } from "../../src/engine/infotext.ts";
import type { GenerateRequest } from "../../src/engine/request.ts";
import { readTextRequest, textFields } from "../../src/engine/text_fields.ts";

const maxSide = 2048;

function read(fields: Record<string, unknown>) {
  const value = <T>(name: string, { parse, default: absent }: RequestField<T>): T =>
    parse(name, fields[name] ?? absent);
  return readTextRequest(value, { maxSide, anySeed: () => 77 });
}

const seed = fc.integer({ min: 0, max: 2 ** 32 - 1 }), side = fc.integer({ min: 8, max: maxSide });
const anyFields = fc.record({
  prompt_syntax: fc.constantFrom(...promptSyntaxes),
  emphasis: fc.constantFrom(...emphases),
  clip_skip: fc.integer({ min: 1, max: 12 }),
  subseed: seed,
  subseed_strength: fc.double({ min: 0, max: 1, noNaN: true }).map((share) => Math.round(share * 100) / 100),
  eta_noise_seed_delta: seed,
  size: fc.option(fc.tuple(side, side), { nil: undefined }),
}).map(({ size, ...fields }) => ({
  ...fields,
  ...(size && { seed_resize_from_w: size[0], seed_resize_from_h: size[1] }),
}));

const model = { name: "tiny" } as Parameters<typeof infotextOf>[1];
const plain: GenerateRequest = {
  ...{ prompt: "a", negativePrompt: "", width: 64, height: 64, steps: 20, guidanceScale: 7, sampler: "euler" },
  ...{ scheduler: "automatic", seed: 1, rng: "nv", eta: 0, strength: 0.75 },
};

Deno.test("what an infotext says of prompts and seeds is read back as the same request", () => {
  fc.assert(fc.property(anyFields, (fields) => {
    const request = read(fields);
    deepStrictEqual(read(Object.fromEntries(infotextFields(infotextOf({ ...plain, ...request }, model)))), request);
  }));
});

Deno.test("usual values are absent from the request and from its infotext", () => {
  deepStrictEqual(read({}), {});
  deepStrictEqual(read({ clip_skip: 1, subseed: 5, seed_resize_from_w: -1, seed_resize_from_h: 0 }), {});
  deepStrictEqual(infotextOf(plain, model).match(/Variation|Clip|ENSD|Emphasis|syntax|resize/), null);
});

Deno.test("a variation without a seed of its own is given one", () => {
  deepStrictEqual(read({ subseed_strength: 0.5 }), { subseed: 77, subseedStrength: 0.5 });
});

Deno.test("fields of prompts and seeds that will not do are refused in a sentence", () => {
  const sentences: [Record<string, unknown>, string][] = [
    [{ prompt_syntax: "comfy" }, `Field prompt_syntax is "comfy", a1111 or plain would do`],
    [{ clip_skip: 0 }, "Field clip_skip is 0, a whole number from 1 to 12 would do"],
    [{ subseed_strength: 1.5 }, "Field subseed_strength is 1.5, a number from 0 to 1 would do"],
    [{ emphasis: "loud" }, `Field emphasis is "loud", original or no_norm or ignore or none would do`],
    [{ seed_resize_from_w: 7, seed_resize_from_h: 64 }, "Field seed_resize_from_w is 7, 8 or more would do"],
    [
      { seed_resize_from_w: 64 },
      "Field seed_resize_from_h is missing beside seed_resize_from_w, both or neither would do",
    ],
  ];
  for (const [fields, message] of sentences) {
    throws(() => read(fields), (error: Error) => {
      strictEqual(error instanceof RequestError, true);
      strictEqual(error.message, message);
      return true;
    });
  }
  strictEqual(Object.keys(textFields({ maxSide })).length, 8);
});
