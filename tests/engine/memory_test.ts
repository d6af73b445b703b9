/** Device memory under a budget: what is accounted, what leaves for what, and that pictures do not change for it. */
import { deepStrictEqual, match, ok, rejects, strictEqual } from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { createEngine } from "../../src/engine/client.ts";
import { Engine } from "../../src/engine/engine.ts";
import { neededBytes } from "../../src/engine/limits.ts";
import type { GenerateRequest } from "../../src/engine/request.ts";
import { smallRequest } from "./make.ts";

const tiny = fileURLToPath(new URL("../../weights/tiny", import.meta.url));
const modelsDir = Deno.makeTempDirSync();
for (const name of ["first", "second"]) Deno.symlinkSync(tiny, `${modelsDir}/${name}`);
Deno.test.afterAll(() => Deno.removeSync(modelsDir, { recursive: true }));

function open(budget?: number, { warm }: { warm?: boolean } = {}): Promise<Engine> {
  return Engine.open({ model: tiny, precision: "f32", budget, warm, homes: { modelsDir }, log: () => {} });
}

/** The scanlines of a picture. */
async function make(engine: Engine, changes: Partial<GenerateRequest> = {}): Promise<number[]> {
  const bytes: number[] = [];
  for await (const event of engine.generate({ ...smallRequest, ...changes }, new AbortController().signal)) {
    if (event.type === "rows") bytes.push(...event.bytes);
  }
  return bytes;
}

const roomy = await open(2 ** 40);
const before = await make(roomy);
const picture = { initImage: Uint8Array.from({ length: 64 * 64 * 3 }, (_, i) => i % 251), strength: 0.5, steps: 4 };
const fromPicture = await make(roomy, picture);
Deno.test.afterAll(() => roomy[Symbol.dispose]());

/** The least budget that lets pictures of the default size be made. */
const leastBudget = neededBytes(roomy.standard.model, roomy.info.model.defaults);

Deno.test("a budget too small for the largest stage is refused before it starts, with what is needed and what there is", async () => {
  await rejects(open(leastBudget - 1), {
    message:
      /^Cannot make a picture of 128x128: the [\w' -]+ needs [\d.]+ MiB of device memory, and MEMORY_BUDGET is [\d.]+ MiB, \d+x\d+ would do$/,
  });
  await rejects(open(2 ** 20), {
    message: /needs [\d.]+ MiB of device memory, and MEMORY_BUDGET is 1.00 MiB, a larger MEMORY_BUDGET would do$/,
  });
});

Deno.test("components take turns under a small budget: it is never passed, and pictures are the same", async () => {
  const budget = leastBudget, { residents } = roomy.memory;
  const weights = residents.filter(({ name }) => /^tiny (unet|vae|text_encoder)$/.test(name));
  strictEqual(weights.length, 3);
  const all = weights.reduce((sum, { bytes }) => sum + bytes, 0);
  ok(budget < all, `a budget of ${budget} for ${all} bytes of weights`);
  using engine = await open(budget);
  for (let times = 0; times < 2; times++) {
    deepStrictEqual(await make(engine), before);
    deepStrictEqual(await make(engine, picture), fromPicture);
  }
  const { peak, evictions } = engine.memory;
  ok(peak <= budget, `${peak} bytes under a budget of ${budget}`);
  ok(evictions > 10, `${evictions} evictions`);
  strictEqual(roomy.memory.evictions, 0);
});

Deno.test("what later stages of a job read stays, however tight the budget: masks, second passes, previews, batches, tiles", async () => {
  const mask = Uint8Array.from({ length: 64 * 64 }, (_, i) => i % 64 < 32 ? 255 : 0);
  const hires = { width: 72, height: 72, steps: 3, strength: 0.7, sampler: "euler", scheduler: "automatic" } as const;
  const ways: Partial<GenerateRequest>[] = [
    { hires: { ...hires, upscaler: "Latent" }, previews: 2, steps: 3 },
    { hires: { ...hires, upscaler: "Lanczos" } },
    {
      ...picture,
      mask,
      inpaint: { blur: 0, invert: false, fill: "original", onlyMasked: false, padding: 0, soft: false },
    },
    { n: 2, tiling: true, guidance: { rescale: 0.5, start: 0, end: 0.5, threshold: 0, percentile: 0.995 } },
  ];
  using engine = await open(leastBudget);
  for (const way of ways) {
    deepStrictEqual(await make(engine, way), await make(roomy, way), JSON.stringify(Object.keys(way)));
    ok(engine.memory.peak <= leastBudget);
  }
});

Deno.test("a size that does not fit the budget is refused before it starts, with the largest that does, which does", async () => {
  using engine = await open(leastBudget);
  const { evictions, used } = engine.memory;
  const refusal = await make(engine, { width: 1024, height: 512 }).then(() => "", (error) => `${error.message}`);
  match(refusal, /^Cannot make a picture of 1024x512: .* needs .* of device memory, .*, \d+x\d+ would do$/);
  const { memory } = engine;
  deepStrictEqual([memory.evictions, memory.used], [evictions, used], "nothing had to leave for it");
  const [width, height] = refusal.match(/(\d+)x(\d+) would do$/)!.slice(1).map(Number);
  ok(width < 1024 && height < 512 && Math.abs(width / height - 2) < 0.2);
  strictEqual((await make(engine, { width, height, steps: 1 })).length, height * (1 + 3 * width));
});

Deno.test("what is accounted is what buffers and textures take, by kind and by what it belongs to", () => {
  const { used, bytes, residents } = roomy.memory;
  strictEqual(Object.values(bytes).reduce((sum, each) => sum + each, 0), used);
  strictEqual(residents.reduce((sum, each) => sum + each.bytes, 0), used);
  strictEqual(bytes.staging, 0, "nothing is uploaded now");
  const weights = residents.filter(({ name }) => /^tiny (unet|vae|text_encoder)$/.test(name));
  strictEqual(weights.reduce((sum, each) => sum + each.bytes, 0), bytes.weights);
});

Deno.test("unloading gives all device memory back, and the next picture is as ever", async () => {
  using engine = await open();
  ok(engine.memory.used > 0);
  engine.unload();
  deepStrictEqual([engine.memory.used, engine.memory.residents], [0, []]);
  deepStrictEqual(await make(engine), before);
  ok(engine.memory.used > 0);
});

Deno.test("loading brings a model's weights back, as many as fit, and the next picture is as ever", async () => {
  const weights = ({ memory }: Engine) =>
    memory.residents.map(({ name }) => name).filter((name) => /^\w+ (unet|vae|text_encoder)$/.test(name));
  using engine = await open();
  engine.unload();
  await engine.load();
  await engine.load();
  deepStrictEqual(weights(engine), ["tiny text_encoder", "tiny unet", "tiny vae"]);
  strictEqual(engine.memory.used, engine.memory.bytes.weights);
  await engine.load("first");
  strictEqual(weights(engine).length, 6);
  deepStrictEqual(await make(engine), before);
  await rejects(engine.load("third"), { name: "RefusedError" });
  using tight = await open(leastBudget);
  tight.unload();
  await tight.load();
  ok(weights(tight).length >= 1 && weights(tight).length < 3 && tight.memory.used <= leastBudget);
  deepStrictEqual(await make(tight), before);
});

Deno.test("fifty requests of alternating sizes and models leave device memory where it began, whatever the budget", async () => {
  const sizes = [[16, 16], [24, 16], [16, 32]], models = [undefined, "first", "second"];
  for (const budget of [undefined, leastBudget]) {
    using engine = await open(budget, { warm: false });
    const run = async (rounds: number) => {
      for (let i = 0; i < 6 * rounds; i++) { // sizes and models come again in the same order
        const [width, height] = sizes[i % 3];
        await make(engine, { width, height, steps: 1, guidanceScale: 1, model: models[Math.floor(i / 2) % 3] });
      }
    };
    await run(1);
    const began = engine.memory.used;
    await run(budget === undefined ? 9 : 2); // a tight one moves weights for every picture
    strictEqual(engine.memory.used, began);
    ok(began > 0);
    if (budget !== undefined) ok(engine.memory.peak <= budget);
  }
});

Deno.test("a request may name any model there is a folder of, and gets that model's picture", async () => {
  strictEqual(roomy.describe("first").model.name, "first");
  deepStrictEqual(await make(roomy, { model: "first" }), before, "the same weights under another name");
  for (const model of ["third", "../tiny", tiny, ""]) {
    await rejects(make(roomy, { model }), { name: "RefusedError", field: "model" });
  }
});

Deno.test("a model that cannot be opened is refused without a word of where it lies", async () => {
  Deno.mkdirSync(`${modelsDir}/hollow`);
  Deno.writeTextFileSync(`${modelsDir}/hollow/model_index.json`, "{}");
  await rejects(make(roomy, { model: "hollow" }), (error: Error) => {
    match(error.message, /^Cannot use the model hollow: .*hollow/);
    return !error.message.includes(modelsDir);
  });
  Deno.removeSync(`${modelsDir}/hollow`, { recursive: true });
});

Deno.test("questions about many other models do not end the one whose job runs", async () => {
  const names = Array.from({ length: 10 }, (_, i) => `other${i}`);
  for (const name of names) Deno.symlinkSync(tiny, `${modelsDir}/${name}`);
  const bytes: number[] = [];
  for await (const event of roomy.generate({ ...smallRequest, model: "first" }, new AbortController().signal)) {
    if (event.type === "step") { for (const name of names) roomy.describe(name); }
    if (event.type === "rows") bytes.push(...event.bytes);
  }
  deepStrictEqual(bytes, before);
  for (const name of names) Deno.removeSync(`${modelsDir}/${name}`);
});

Deno.test("without a job for as long as keep_alive says, all device memory is given back; the next job brings it back", async () => {
  const engine = createEngine({ model: tiny, precision: "f32", keepAlive: 0 });
  const run = async (id: string, keepAlive?: number) => {
    await Array.fromAsync(engine.generate(id, { ...smallRequest, steps: 1, keepAlive }, new AbortController().signal));
    await new Promise((resolve) => setTimeout(resolve, 100));
    return engine.memory!.used;
  };
  await engine.ready;
  await new Promise((resolve) => setTimeout(resolve, 100));
  strictEqual(engine.memory!.used, 0, "nobody has asked for anything");
  strictEqual(await run("a"), 0);
  ok(await run("b", 400) > 0, "not yet");
  await new Promise((resolve) => setTimeout(resolve, 600));
  strictEqual(engine.memory!.used, 0);
  const [held, unloaded] = await Promise.all([run("c", Infinity), engine.unload().then(() => engine.memory!.used)]);
  deepStrictEqual([held, unloaded], [0, 0], "after the job, and at once");
  await engine.load();
  ok(engine.memory!.used > 0);
  await new Promise((resolve) => setTimeout(resolve, 100));
  strictEqual(engine.memory!.used, 0, "nobody has asked for anything again");
  ok(await run("d", Infinity) > 0);
  engine.close();
});
