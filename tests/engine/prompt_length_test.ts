/** Prompts of many chunks: what they may take, and that all of a request that they lengthen is looked at before it starts. */
import { deepStrictEqual, match, ok, rejects, strictEqual, throws } from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { planPrompt } from "../../src/engine/conditioning.ts";
import { needOf } from "../../src/engine/canvas.ts";
import { Engine } from "../../src/engine/engine.ts";
import { neededBytes, whyTooLarge, whyTooLong } from "../../src/engine/limits.ts";
import type { GenerateRequest } from "../../src/engine/request.ts";
import { recordStep } from "../../src/engine/step_stages.ts";
import { loadTokenizer } from "../../src/tokenizer/clip.ts";
import { openTiny, smallRequest } from "./make.ts";

const engine = await openTiny();
Deno.test.afterAll(() => engine[Symbol.dispose]());
const { model } = engine.standard, size = { height: 64, width: 64 };

const request: GenerateRequest = { ...smallRequest, prompt: "" };

/** A prompt of so many chunks. */
function long(chunks: number): string {
  return Array(75 * chunks).fill("a").join(" ");
}

/** What happens to a job, and its scanlines by picture. */
async function run(engine: Engine, changes: Partial<GenerateRequest>, signal = new AbortController().signal) {
  const types: string[] = [], pictures: number[][] = [];
  for await (const event of engine.generate({ ...request, ...changes }, signal)) {
    types.push(event.type);
    if (event.type === "rows") (pictures[event.image] ??= []).push(...event.bytes);
  }
  return { types, pictures };
}

function open(budget: number): Promise<Engine> {
  const model = fileURLToPath(new URL("../../weights/tiny", import.meta.url));
  return Engine.open({ model, precision: "f32", budget, log: () => {} });
}

Deno.test("chunks are counted in all parts and in all texts that a prompt changes into, each as long as the longest", () => {
  const tokenizer = loadTokenizer(fileURLToPath(new URL("../../weights/tiny/tokenizer", import.meta.url)));
  const cases: [prompt: string, calls: number, chunks: number][] = [
    [long(3), 20, 3],
    [`${long(3)} [b|c]`, 20, 8], // the changing word begins a fourth chunk
    ["[a|b] [a|b|c] [a|b|c|d|e]", 40, 30],
    [`[${long(5)}::0.5]`, 20, 10],
    [`${long(4)} AND b AND [c:d:3]`, 20, 16],
    [`${long(4)} AND ${long(4)}`, 20, 8],
  ];
  for (const [prompt, calls, chunks] of cases) {
    planPrompt(prompt, tokenizer, { calls, mostChunks: chunks });
    const name = `${prompt.slice(0, 20)}…`;
    throws(() => planPrompt(prompt, tokenizer, { calls, mostChunks: chunks - 1 }), { mostChunks: chunks - 1 }, name);
  }
});

Deno.test("a prompt that changes into more than host memory should hold is refused before it starts", async () => {
  const prompt = `${long(70)} [a|b] [a|b|c] [a|b|c|d|e] [a|b|c|d|e|f|g] [${[..."abcdefghijk"].join("|")}]`,
    changes = { steps: 150, sampler: "heun" } as const;
  for (const field of ["prompt", "negativePrompt"] as const) {
    const name = field === "prompt" ? field : "negative_prompt";
    await rejects(run(engine, { ...changes, [field]: prompt }), {
      name: "RefusedError",
      field: name,
      message:
        `Field ${name} is too long: its parts, and the texts that they change into, have more than 18157 chunks ` +
        "of 75 tokens, fewer or shorter ones would do",
    });
  }
});

Deno.test("a job is given up between two runs of the text encoder, and within a step of many parts; meanwhile it is alive", async () => {
  const { prototype: buffer } = GPUBuffer, { prototype: queue } = GPUQueue;
  const { mapAsync } = buffer, { onSubmittedWorkDone } = queue, { backend } = engine.standard.model;
  const words = Array.from({ length: 75 * 40 }, (_, i) => `${i % 97}`).join(" "); // chunks that are all different
  const parts = Array(80).fill("a").join(" AND ");
  // Twenty runs of the text encoder and one for the negative prompt; eleven waits in a step, and one before.
  for (const [prompt, all] of [[words, 20], [parts, 11]] as const) {
    const cancel = new AbortController(), types: string[] = [];
    let waits = 0, alive = 0;
    const wait = () => {
      if (++waits === 5) setTimeout(() => cancel.abort());
    };
    buffer.mapAsync = function (...args) {
      wait();
      return mapAsync.apply(this, args);
    };
    queue.onSubmittedWorkDone = function () {
      wait();
      return onSubmittedWorkDone.apply(this);
    };
    backend.alive = () => alive++;
    try {
      for await (const { type } of engine.generate({ ...request, prompt }, cancel.signal)) types.push(type);
    } finally {
      buffer.mapAsync = mapAsync;
      queue.onSubmittedWorkDone = onSubmittedWorkDone;
      backend.alive = () => {};
    }
    deepStrictEqual(types, ["started", "cancelled"]);
    ok(waits >= 5 && waits < all - 3, `${waits} waits of ${all}`);
    ok(alive >= waits - 2, `alive ${alive} times`);
  }
  strictEqual((await run(engine, {})).types.at(-1), "done");
});

Deno.test("long prompts make batches smaller where together they would not fit, and the same pictures", async () => {
  const budget = neededBytes(model, { height: 128, width: 128 });
  using tight = await open(budget);
  const tokensOf = (chunks: number) => ({ tokens: 77 * chunks, parts: 0 });
  const isTooLong = (images: number, chunks: number) =>
    whyTooLong(tight.standard.model, { ...size, images }, tokensOf(chunks)) !== undefined;
  strictEqual(whyTooLarge(tight.standard.model, 64, 64, 4), undefined);
  let chunks = 1;
  while (!isTooLong(4, chunks)) chunks++;
  ok(!isTooLong(1, chunks));
  const changes = { prompt: long(chunks), negativePrompt: long(chunks), n: 4 };
  deepStrictEqual((await run(tight, changes)).pictures, (await run(engine, changes)).pictures);
  ok(tight.memory.peak <= budget);

  // Beyond what one picture has room for it is refused, also where only the second pass is that long, or that large.
  while (!isTooLong(1, chunks)) chunks++;
  const refused = (field: string) => ({
    name: "RefusedError",
    field,
    message: new RegExp(
      `^Cannot read a ${field} of ${77 * chunks} tokens: the U-Net's step needs [\\d.]+ MiB of device memory, ` +
        "and MEMORY_BUDGET is [\\d.]+ MiB, a shorter one would do$",
    ),
  });
  await rejects(run(tight, { prompt: long(chunks) }), refused("prompt"));
  await rejects(run(tight, { negativePrompt: long(chunks) }), refused("negative_prompt"));
  const hires = {
    ...size,
    upscaler: "Latent",
    steps: 4,
    strength: 0.5,
    sampler: "euler",
    scheduler: "automatic",
  } as const;
  const later = { prompt: `b [:${long(chunks - 1)}:1.5]`, hires };
  await rejects(run(tight, later), refused("prompt"));
  match(`${(await run(engine, later)).types}`, /done$/);
});

Deno.test("what does not fit alone is refused for good, also where only a run finds out", async () => {
  // A budget that is full with the steps of a long prompt; guidance beyond its scale has one more value.
  const least = neededBytes(model, { height: 128, width: 128 });
  const needed = (chunks: number) => {
    const one = { ...size, images: 1 };
    return needOf(model, one, recordStep(model, one, { halves: 2, tokens: 77 * chunks })).bytes;
  };
  let chunks = 1;
  while (needed(chunks) < least) chunks *= 2;
  using full = await open(needed(chunks));
  const changes = { prompt: long(chunks), negativePrompt: long(chunks), steps: 1 };
  strictEqual((await run(full, changes)).types.at(-1), "done");
  const guidance = { rescale: 0.5, start: 0, end: 1, threshold: 2, percentile: 0.995 };
  await rejects(run(full, { ...changes, guidance }), {
    name: "RefusedError",
    message:
      /^Cannot run tiny .*: it needs [\d.]+ MiB of device memory, .*, a smaller picture or a shorter prompt would do$/,
  });
  strictEqual((await run(full, changes)).types.at(-1), "done");
});
