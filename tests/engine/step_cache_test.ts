/** A cache between steps: which calls are whole, that what is kept belongs to its prompt, and that passes do not share it. */
import { deepStrictEqual, notDeepStrictEqual, ok, rejects, strictEqual } from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { Engine } from "../../src/engine/engine.ts";
import { infotextFields } from "../../src/engine/infotext.ts";
import { neededBytes, whyTooLong } from "../../src/engine/limits.ts";
import { StepCache } from "../../src/engine/step_cache.ts";
import { readTexts } from "../../src/png/texts.ts";
import { make, openTiny, rectangle } from "./make.ts";

const engine = await openTiny();
Deno.test.afterAll(() => engine[Symbol.dispose]());

const base = {
  ...{ prompt: "a red circle on a blue background", width: 64, height: 64, steps: 6, seed: 1, sampler: "euler" },
};

/** The final latents of a request. */
async function latents(fields: Record<string, unknown>): Promise<Float32Array> {
  await make(engine, { ...base, ...fields });
  const { pipeline } = engine.standard;
  return await pipeline.latents(engine.canvas({ images: 1, width: 64, height: 64 }));
}

/** ‖found − expected‖ / ‖expected‖. */
function relativeError(found: Float32Array, expected: Float32Array): number {
  return Math.hypot(...found.map((value, i) => value - expected[i])) / Math.hypot(...expected);
}

Deno.test("every so many calls are whole, counted anew from where prompts change", () => {
  const uses = (interval: number | undefined, told: string[]) => {
    const cache = new StepCache(interval);
    return told.map((prompts) => cache.next([...prompts])?.[0] ?? "-").join("");
  };
  strictEqual(uses(undefined, ["a", "a"]), "--");
  strictEqual(uses(1, ["a", "a"]), "--");
  strictEqual(uses(2, ["a", "a", "a", "a", "a"]), "krkrk");
  strictEqual(uses(3, ["ab", "ab", "ab", "ab", "ab", "ab", "ab"]), "krrkrrk");
  strictEqual(uses(3, ["a", "a", "b", "b", "b", "b"]), "krkrrk");
  strictEqual(uses(5, ["ab", "ab", "b", "b", "ab", "a"]), "krkrkk");
});

Deno.test("an interval of 1 is as without, and larger ones come close to it with the steps and at the size that models are made for", async () => {
  const fields = { ...base, width: 128, height: 128, steps: 20 }, size = { images: 1, width: 128, height: 128 };
  const made = async (step_cache?: number) => {
    await make(engine, { ...fields, ...(step_cache && { step_cache }) });
    return await engine.standard.pipeline.latents(engine.canvas(size));
  };
  const exact = await made();
  deepStrictEqual(await made(1), exact);
  const errors: number[] = [];
  for (const interval of [2, 4]) errors.push(relativeError(await made(interval), exact));
  ok(errors[0] > 1e-4 && errors[0] < 0.05 && errors[1] > errors[0] && errors[1] < 0.2, `${errors}`);
});

Deno.test("where each call is the first of its pass, its guidance or its prompt, a cache changes nothing", async () => {
  const ways = [
    { steps: 1, enable_hr: true, hr_scale: 1.5, hr_second_pass_steps: 1, strength: 1 },
    { steps: 1, prompt: "a red circle AND a tree", enable_hr: true, hr_scale: 1, strength: 1 },
    { steps: 3, cfg_start: 0.34, cfg_end: 0.66 },
    // From the second call on the texts take turns; the first is not guided.
    { steps: 5, cfg_start: 0.2, prompt: "a [red|blue] circle" },
  ];
  for (const way of ways) {
    const [exact] = (await make(engine, { ...base, ...way })).pictures;
    const [cached] = (await make(engine, { ...base, ...way, step_cache: 10 })).pictures;
    deepStrictEqual(cached.pixels, exact.pixels, JSON.stringify(way));
  }
});

Deno.test("nothing of another picture is read, and a picture has its cache whatever it is made with", async () => {
  const fields = { ...base, step_cache: 3 }, [alone] = (await make(engine, fields)).pictures;
  await make(engine, { ...fields, prompt: "a tree", steps: 2 });
  deepStrictEqual((await make(engine, fields)).pictures[0].png, alone.png);
  const both = (await make(engine, { ...fields, seed: 0, n: 2 })).pictures;
  deepStrictEqual(both[1].png, alone.png);
});

Deno.test("the parts of a composed prompt keep what is theirs", async () => {
  const step_cache = 3, one = await latents({ step_cache });
  // Half and half of one prompt is that prompt; with a weight of 0 a part is not heard, whatever it keeps.
  const halves = await latents({ prompt: `${base.prompt} :0.5 AND ${base.prompt}:0.5`, step_cache });
  ok(relativeError(halves, one) < 2e-5, `${relativeError(halves, one)}`);
  const silent = await latents({ prompt: `${base.prompt} AND a tree in a green field :0`, step_cache });
  ok(relativeError(silent, one) < 2e-5, `${relativeError(silent, one)}`);
  ok(relativeError(await latents({ step_cache: 1 }), one) > 1e-4);
  // A negative prompt of another length, too, takes a call of its own.
  const long = { negative_prompt: "a tree, ".repeat(60), step_cache };
  const [single, composed] = [await latents(long), await latents({ ...long, prompt: `${base.prompt} AND sea :0` })];
  ok(relativeError(composed, single) < 2e-5 && relativeError(single, one) > 1e-3);
});

Deno.test("a cache goes with guidance in a part of the run, stages, masks, second passes, tiles; and infotexts tell of it", async () => {
  const fields = { ...base, steps: 4 },
    [plain] = (await make(engine, fields)).pictures,
    files = { init: plain, mask: rectangle(plain, { x: 16, y: 16, width: 32, height: 32 }) };
  const ways: [Record<string, unknown>, typeof files?][] = [
    [{ cfg_start: 0.4, cfg_end: 0.8 }],
    [{ sampler: "heun" }],
    [{ sampler: "dpm2_a", tiling: true }],
    [{ enable_hr: true, hr_scale: 1.5, strength: 0.7 }],
    [{ strength: 0.9 }, files],
    [{ prompt: "a [red:blue:0.5] circle AND a tree", guidance_rescale: 0.5 }],
  ];
  for (const [way, given] of ways) {
    const [exact] = (await make(engine, { ...fields, ...way }, given)).pictures;
    const [cached] = (await make(engine, { ...fields, ...way, step_cache: 2 }, given)).pictures;
    const [again] = (await make(engine, infotextFields(readTexts(cached.png).parameters), given)).pictures;
    deepStrictEqual(again.pixels, cached.pixels, JSON.stringify(way));
    notDeepStrictEqual(again.pixels, exact.pixels, JSON.stringify(way));
  }
});

Deno.test("what is kept is accounted: it stays under the tightest budget, and is refused where there is no room for it", async () => {
  const { model } = engine.standard, size = { images: 1, width: 64, height: 64 }, wide = { ...size, images: 4 };
  const budget = neededBytes(model, { height: 128, width: 128 }),
    open = (budget: number) =>
      Engine.open({
        ...{ model: fileURLToPath(new URL("../../weights/tiny", import.meta.url)), precision: "f32", budget },
        log: () => {},
      });
  using tight = await open(budget);
  for (const prompt of [base.prompt, "a red circle AND a tree"]) {
    const fields = { ...base, prompt, step_cache: 3, previews: 2 };
    deepStrictEqual((await make(tight, fields)).pictures[0].png, (await make(engine, fields)).pictures[0].png);
  }
  ok(tight.memory.peak <= budget && tight.memory.evictions > 0);
  strictEqual(whyTooLong(tight.standard.model, size, { tokens: 77, parts: 0, cached: true }), undefined);
  ok(
    whyTooLong(tight.standard.model, wide, { tokens: 77, parts: 1000, cached: true })?.startsWith(
      "the U-Net's step needs ",
    ),
  );
  const composed = Array.from({ length: 400 }, () => "a").join(" AND ");
  await rejects(make(tight, { ...base, prompt: composed, steps: 1, step_cache: 2 }), {
    ...{ name: "RefusedError", field: "step_cache" },
    message: /^Cannot keep a step_cache at 64x64: the U-Net's step needs .*, a step_cache of 1 would do$/,
  });
});
