import assert from "node:assert/strict";
import fc from "fast-check";
import { fieldsOf, parseRequest, type RequestContext, RequestError } from "../../src/engine/request.ts";

const context: RequestContext = {
  model: {
    name: "tiny",
    defaults: { width: 128, height: 96, steps: 8, guidanceScale: 3, sampler: "dpmpp_2m", scheduler: "karras" },
    textWidth: 4,
  },
  limits: { maxSide: 2048, maxPixels: 1024 * 1024, multiple: 8 },
  randomSeed: () => 4294967295,
};

const parse = (fields: Record<string, unknown>) => parseRequest(new Map(Object.entries(fields)), context);

/** The error of fields that will not do. */
function refusal(fields: Record<string, unknown>): RequestError {
  try {
    parse({ prompt: "x", ...fields });
  } catch (error) {
    assert.ok(error instanceof RequestError, String(error));
    return error;
  }
  assert.fail(`${JSON.stringify(fields)} was accepted`);
}

Deno.test("a prompt alone gets the model's defaults, and a seed chosen for it", () => {
  assert.deepEqual(parse({ prompt: "" }), {
    request: {
      model: "tiny",
      prompt: "",
      negativePrompt: "",
      width: 128,
      height: 96,
      steps: 8,
      guidanceScale: 3,
      sampler: "dpmpp_2m",
      scheduler: "karras",
      seed: 4294967295,
      rng: "nv",
      eta: 0,
      strength: 0.75,
    },
    initImageFile: undefined,
    maskFile: undefined,
    ignored: [],
  });
});

Deno.test("text from a query and numbers from JSON give the same request", () => {
  const numbers = { width: 64, height: 72, steps: 1, cfg_scale: 7.5, seed: 0, eta: 0.5, strength: 1, n: 1 };
  const texts = Object.fromEntries(Object.entries(numbers).map(([name, value]) => [name, String(value)]));
  assert.deepEqual(parse({ prompt: "x", ...texts }), parse({ prompt: "x", ...numbers }));
  assert.equal(parse({ prompt: "x", cfg_scale: ".5" }).request.guidanceScale, 0.5);
});

Deno.test("null counts as absent, and fields that mean nothing are listed", () => {
  const parsed = parse({ prompt: "x", steps: null, url: "", sampler_index: "Euler", __proto__x: 1 });
  assert.equal(parsed.request.steps, 8);
  assert.deepEqual(parsed.ignored, ["url", "sampler_index", "__proto__x"]);
});

Deno.test("a sampler has A1111's names too, and the model's scheduler goes with the model's sampler only", () => {
  const { sampler, scheduler } = parse({ prompt: "x", sampler: "Euler a" }).request;
  assert.deepEqual([sampler, scheduler], ["euler_a", "automatic"]);
  const composite = parse({ prompt: "x", sampler: "DPM++ 2M Karras" }).request;
  assert.deepEqual([composite.sampler, composite.scheduler], ["dpmpp_2m", "karras"]);
  assert.equal(
    parse({ prompt: "x", sampler: "DPM++ 2M Karras", scheduler: "Automatic" }).request.scheduler,
    "automatic",
  );
});

const bad: [fields: Record<string, unknown>, message: RegExp][] = [
  [{ prompt: undefined }, /^Field prompt is missing, even an empty text would do$/],
  [{ prompt: null }, /^Field prompt is missing/],
  [{ prompt: 5 }, /^Field prompt is 5, text would do$/],
  [{ prompt: new Uint8Array(9) }, /^Field prompt is a file of 9 bytes, text would do$/],
  [{ prompt: "x".repeat(100_000) }, /^Field prompt has more than 20000 bytes, 20000 or fewer would do$/],
  [{ prompt: "猫".repeat(7_000) }, /^Field prompt has more than 20000 bytes/],
  [{ prompt: "a\0b" }, /^Field prompt holds a NUL character, text without would do$/],
  [{ prompt: "\ud800" }, /^Field prompt holds half of a surrogate pair/],
  [{ negative_prompt: ["a"] }, /^Field negative_prompt is \["a"\], text would do$/],
  [{ width: 7 }, /^Field width is 7, a multiple of 8 from 8 to 2048 would do$/],
  [{ height: "4096" }, /^Field height is "4096", a multiple of 8 from 8 to 2048 would do$/],
  [{ width: 2048, height: 1024 }, /^Fields width and height are 2048×1024 pixels, .* 1048576 .*, 1448×720 would do$/],
  [
    { n: 16, n_iter: 17, width: 512, height: 512 },
    /^Fields n and n_iter ask for 272 pictures of 512×512 pixels, 256 would do$/,
  ],
  [{ steps: 0 }, /^Field steps is 0, a whole number from 1 to 150 would do$/],
  [{ steps: 1e9 }, /^Field steps is 1000000000, a whole/],
  [{ steps: "1e9" }, /^Field steps is "1e9", a whole/],
  [{ steps: " 7 " }, /^Field steps is " 7 ", a whole/],
  [{ steps: "" }, /^Field steps is "", a whole/],
  [{ steps: true }, /^Field steps is true, a whole/],
  [{ steps: 1.5 }, /^Field steps is 1.5, a whole/],
  [{ steps: ["3", "4"] }, /^Field steps is \["3","4"\], a whole/],
  [{ steps: {} }, /^Field steps is an object, a whole/],
  [{ steps: NaN }, /^Field steps is null, a whole/],
  [{ steps: "0x10" }, /^Field steps is "0x10", a whole/],
  [{ cfg_scale: "NaN" }, /^Field cfg_scale is "NaN", a number from 0 to 100 would do$/],
  [{ cfg_scale: Infinity }, /^Field cfg_scale is null, a number/],
  [{ cfg_scale: "1e400" }, /^Field cfg_scale is "1e400", a number/],
  [{ cfg_scale: -0.1 }, /^Field cfg_scale is -0.1, a number/],
  [{ sampler: "bogus" }, /^Field sampler: there is no sampler "bogus": /],
  [{ sampler: 3 }, /^Field sampler is 3, a name would do$/],
  [
    { scheduler: "karras", sampler: "ddim" },
    /^Field scheduler is "karras", which sampler ddim does not take, .* would do$/,
  ],
  [{ scheduler: "bogus" }, /^Field scheduler: there is no scheduler "bogus": /],
  [{ seed: -2 }, /^Field seed is -2, a whole number from -1 to 4294967295 would do$/],
  [{ seed: 2 ** 32 }, /^Field seed is 4294967296, a whole/],
  [{ rng: "gpu" }, /^Field rng is "gpu", nv or cpu would do$/],
  [{ n: 17 }, /^Field n is 17, a whole number from 1 to 16 would do$/],
  [{ strength: 0 }, /^Field strength is 0, a number above 0, up to 1 would do$/],
  [{ eta: 2 }, /^Field eta is 2, a number from 0 to 1 would do$/],
  [{ model: "../other" }, /^Field model is "..\/other", tiny would do$/],
  [{ init_image: 3 }, /^Field init_image is 3, base64, a data URL or an uploaded file would do$/],
  [{ init_image: "https://example.org/a.png" }, /^Field init_image is the address "https:/],
  [{ init_image: "not base64!" }, /^Field init_image is "not base64!", base64, /],
  [
    { init_image: "AAAA", steps: 3, strength: 0.3 },
    /^Field strength is 0.3, which leaves none of 3 steps, 0.334 or more/,
  ],
];
for (const [fields, message] of bad) {
  const [name] = Object.keys(fields);
  const shown = JSON.stringify(fields)?.slice(0, 60);
  Deno.test(`parseRequest() refuses ${shown} in one sentence, for ${message.source.slice(0, 40)}`, () => {
    const error = refusal(fields);
    assert.match(error.message, message);
    assert.ok(!error.message.includes("\n") && error.message.length < 300);
    if (!("init_image" in fields)) assert.equal(error.field, name);
  });
}

Deno.test("the size that is offered in place of one too large is itself accepted", () => {
  const side = fc.integer({ min: 1, max: 256 }).map((eighths) => eighths * 8);
  fc.assert(fc.property(side, side, (width, height) => {
    if (width * height <= context.limits.maxPixels) return;
    const [, wide, high] = refusal({ width, height }).message.match(/, (\d+)×(\d+) would do$/)!;
    parse({ prompt: "x", width: wide, height: high });
  }));
});

Deno.test("the strength that is offered is itself accepted", () => {
  for (let steps = 1; steps <= 150; steps++) {
    if (Math.floor(steps * 0.006) >= 1) continue;
    const offered =
      refusal({ init_image: "AAAA", steps, strength: 0.006 }).message.match(/steps, ([\d.]+) or more/)![1];
    parse({ prompt: "x", init_image: "AAAA", steps, strength: offered });
  }
});

Deno.test("parseRequest() fails in no other way, whatever the fields hold", () => {
  const names = [...Object.keys(fieldsOf(context)), "init_image"];
  const value = fc.oneof(fc.anything(), fc.string(), fc.integer(), fc.double());
  fc.assert(
    fc.property(fc.dictionary(fc.constantFrom(...names), value), (fields) => {
      try {
        const { request } = parse({ prompt: "x", ...fields });
        assert.ok(request.width % 8 === 0 && Number.isInteger(request.steps) && request.seed >= 0);
      } catch (error) {
        assert.ok(error instanceof RequestError, String(error));
      }
    }),
    { numRuns: 2000 },
  );
});

Deno.test("every field describes itself for documentation, with the default that the parser uses", () => {
  const fields = fieldsOf(context);
  assert.deepEqual(fields.steps.schema, { type: "integer", minimum: 1, maximum: 150 });
  assert.deepEqual(fields.width.schema, { type: "integer", minimum: 8, maximum: 2048, multipleOf: 8 });
  for (const [name, { schema, description, default: value }] of Object.entries(fields)) {
    assert.ok(schema.type && description, name);
    if (value !== undefined) parse({ prompt: "x", [name]: value });
  }
});
