import { deepStrictEqual, notDeepStrictEqual, ok, rejects, strictEqual } from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { Engine, type Progress } from "../../src/engine/engine.ts";
import type { GenerateRequest } from "../../src/engine/request.ts";
import { smallRequest } from "./make.ts";

/** How often the engine has said that all goes well. */
let alive = 0;
const engine = await Engine.open({
  model: fileURLToPath(new URL("../../weights/tiny", import.meta.url)),
  precision: "f32",
  log: () => {},
  alive: () => alive++,
});
const aliveAtStart = alive;
Deno.test.afterAll(() => engine[Symbol.dispose]());

const request: GenerateRequest = { ...smallRequest, sampler: "dpmpp_2m" };

/** A job's events; `each` sees them as they come. */
async function run(
  changes: Partial<GenerateRequest> = {},
  { signal = new AbortController().signal, each = (_: Progress) => {} } = {},
): Promise<Progress[]> {
  const events: Progress[] = [];
  for await (const event of engine.generate({ ...request, ...changes }, signal)) {
    events.push(event);
    each(event);
  }
  return events;
}

/** The scanlines of a job that has to end well, bands in order and without gaps. */
async function scanlines(changes: Partial<GenerateRequest> = {}): Promise<number[]> {
  const { width, height } = { ...request, ...changes }, events = await run(changes), bytes: number[] = [];
  let rows = 0;
  for (const event of events) {
    if (event.type !== "rows") continue;
    strictEqual(event.top, rows);
    strictEqual(event.bytes.length, event.rows * (1 + 3 * width));
    rows += event.rows;
    bytes.push(...event.bytes);
  }
  strictEqual(rows, height);
  strictEqual(events.at(-1)!.type, "done");
  return bytes;
}

/** What a job says, without numbers and stages. */
const types = (events: Progress[]) => events.map(({ type }) => type).filter((type) => type !== "stage").join(" ");

Deno.test("a job is started, then steps, then rows, then done", async () => {
  const events = await run();
  strictEqual(types(events), "started step step rows done");
  deepStrictEqual(
    events.flatMap((event) => event.type === "step" ? [[event.step, event.steps]] : []),
    [
      [1, 2],
      [2, 2],
    ],
  );
});

Deno.test("weights on their way to the device are news, at the start and when they are brought back", async () => {
  ok(aliveAtStart >= 3, `${aliveAtStart} times for three components`);
  await run();
  const before = alive;
  await run();
  const text = alive - before; // between runs of the text encoder
  engine.unload();
  await run();
  ok(alive - before - 2 * text >= 3, `${alive - before - 2 * text} times for three components`);
});

Deno.test("every stage is told of, those of a picture before its rows, with the time it took here and on the GPU", async () => {
  const from = Date.now(), events = await run({ n: 2, iterations: 2 });
  const told = events.map((event) => event.type === "stage" ? event.stage : event.type === "rows" ? event.image : "");
  const decoded = (image: number) => ["decode", image, "rows"];
  const round = (first: number) => ["text", "start", "denoise", ...[first, first + 1].flatMap(decoded)];
  // The last rows of a picture are told of with the next one's decoding.
  const order = (names: (string | number)[]) => names.filter((name) => name !== "" && name !== "rows");
  deepStrictEqual(order(told), [...round(0), ...round(2)].filter((name) => name !== "rows"));
  strictEqual(told.filter((name) => name === "rows").length, 4);
  const stages = events.filter((event) => event.type === "stage");
  for (const { stage, began, ms, gpuMs } of stages) {
    ok(began >= from && ms >= 0 && began + ms <= Date.now() + 1, `${stage} from ${began - from} ms on, for ${ms} ms`);
    if (engine.device.timestamps && stage !== "rows") {
      ok(gpuMs! >= 0 && gpuMs! <= ms + 1, `${stage}: ${gpuMs} of ${ms} ms`);
    } else strictEqual(gpuMs, undefined, stage);
  }
  const steps = events.reduce((sum, event) => event.type === "step" ? sum + event.ms : sum, 0);
  const denoise = stages.reduce((sum, { stage, ms }) => stage === "denoise" ? sum + ms : sum, 0);
  ok(Math.abs(steps - denoise) < 1e-6 * steps, `${denoise} ms of ${steps} ms`);
});

Deno.test("the same request gives the same bytes, another seed or prompt gives others", async () => {
  const first = await scanlines();
  deepStrictEqual(await scanlines(), first);
  notDeepStrictEqual(await scanlines({ seed: 2 }), first);
  notDeepStrictEqual(await scanlines({ prompt: "a green square on a black background" }), first);
  notDeepStrictEqual(await scanlines({ rng: "cpu" }), first);
  deepStrictEqual(await scanlines(), first, "whatever was made between");
});

Deno.test("without guidance the negative prompt counts for nothing", async () => {
  const changes = { guidanceScale: 1, steps: 1 };
  const without = await scanlines(changes);
  deepStrictEqual(await scanlines({ ...changes, negativePrompt: "a square" }), without);
  notDeepStrictEqual(
    await scanlines({ steps: 1, negativePrompt: "a square" }),
    await scanlines({ steps: 1 }),
    "with guidance it does",
  );
});

Deno.test("an ancestral sampler and a stochastic one give the same bytes for the same seed too", async () => {
  for (const sampler of ["euler_a", "ddpm"] as const) {
    deepStrictEqual(await scanlines({ sampler }), await scanlines({ sampler }), sampler);
  }
});

Deno.test("sizes that are multiples of 8 and of nothing else make whole pictures", async () => {
  for (const [width, height] of [[72, 104], [8, 8], [8, 136], [136, 8]]) {
    const lines = await scanlines({ width, height, steps: 1 });
    strictEqual(lines.length, height * (1 + 3 * width));
    ok(lines.every((_, i) => i % (1 + 3 * width) || lines[i] === 4), "every scanline has its filter's number in front");
  }
});

Deno.test("image-to-image starts from the picture: little strength stays near it, full strength does not", async () => {
  const initImage = Uint8Array.from(unfilter(await scanlines({ steps: 8 }), 64));
  const events = await run({ initImage, strength: 0.5, steps: 4 });
  strictEqual(types(events), "started step step rows done", "half of four steps");
  const distance = async (strength: number, steps: number) => {
    const levels = unfilter(await scanlines({ initImage, strength, steps, seed: 7, prompt: "a green square" }), 64);
    return levels.reduce((sum, level, i) => sum + Math.abs(level - initImage[i]), 0) / levels.length;
  };
  const near = await distance(0.05, 20), far = await distance(1, 4);
  ok(near < far / 4, `${near} levels away with little strength, ${far} with full`);
});

/** Levels of scanlines filtered with Paeth's predictor (PNG specification, 9.4). */
function unfilter(lines: number[], width: number): number[] {
  const stride = 3 * width, rows = lines.length / (stride + 1), levels: number[] = [];
  for (let row = 0; row < rows; row++) {
    for (let i = 0; i < stride; i++) {
      const at = row * stride + i;
      const left = i >= 3 ? levels[at - 3] : 0, above = row ? levels[at - stride] : 0;
      const corner = i >= 3 && row ? levels[at - stride - 3] : 0, estimate = left + above - corner;
      const [a, b, c] = [left, above, corner].map((level) => Math.abs(estimate - level));
      const predicted = a <= b && a <= c ? left : b <= c ? above : corner;
      levels.push((lines[row * (stride + 1) + 1 + i] + predicted) & 255);
    }
  }
  return levels;
}

Deno.test("an aborted job ends with `cancelled` after the step it was in, and the next one is as ever", async () => {
  const before = await scanlines();
  const controller = new AbortController();
  const events = await run({ steps: 5 }, {
    signal: controller.signal,
    each: ({ type }) => type === "step" && controller.abort(),
  });
  strictEqual(types(events), "started step cancelled");
  strictEqual(types(await run({}, { signal: AbortSignal.abort() })), "started cancelled", "aborted before it began");
  deepStrictEqual(await scanlines(), before);
});

Deno.test("a job that is aborted while its rows come ends there", async () => {
  const controller = new AbortController();
  const options = { signal: controller.signal, each: ({ type }: Progress) => type === "rows" && controller.abort() };
  strictEqual(types(await run({ steps: 1, height: 136 }, options)), "started step rows cancelled");
});

Deno.test("a request that cannot be run is refused before it starts, and the engine serves on", async () => {
  const before = await scanlines();
  const initImage = new Uint8Array(64 * 64 * 3);
  const refused: [Partial<GenerateRequest>, RegExp][] = [
    [{ sampler: "ddim", scheduler: "karras" }, /^Sampler ddim has a schedule of its own/],
    [{ steps: 1001 }, /^Cannot take 1001 steps: the model was trained on 1000 timesteps/],
    [{ initImage, strength: 0.1, steps: 2 }, /^Cannot start from a picture with strength 0.1: of 2 steps it runs none/],
    [{ width: 1 << 17, height: 1 << 17 }, /^Cannot make a picture of 131072x131072: /],
  ];
  for (const [changes, message] of refused) await rejects(run(changes), { name: "RefusedError", message });
  deepStrictEqual(await scanlines(), before);
});

Deno.test("a job that fails half way fails alone: what it left is dropped and the next one is as ever", async () => {
  const before = await scanlines();
  // The pipeline trusts a request; here is one that its parser would not let through.
  await rejects(run({ initImage: new Uint8Array(5) }), {
    name: "RangeError",
    message: /^Cannot write image: 5 numbers/,
  });
  deepStrictEqual(await scanlines(), before);
});

/** Follows the buffers that a device makes from now on; gives the bytes of those not destroyed. */
function followBuffers(gpu: GPUDevice): () => number {
  const alive = new Map<GPUBuffer, number>(), create = gpu.createBuffer.bind(gpu);
  gpu.createBuffer = (descriptor) => {
    const buffer = create(descriptor), destroy = buffer.destroy.bind(buffer);
    alive.set(buffer, descriptor.size);
    buffer.destroy = () => {
      alive.delete(buffer);
      destroy();
    };
    return buffer;
  };
  return () => [...alive.values()].reduce((sum, bytes) => sum + bytes, 0);
}

Deno.test("pictures of alternating sizes leave on the GPU what two sizes take", async () => {
  const alive = followBuffers(engine.device.gpu);
  const sizes = [[16, 16], [16, 24], [24, 16]];
  const make = async (count: number) => {
    for (let i = 0; i < count; i++) {
      const [width, height] = sizes[i % sizes.length];
      await run({ width, height, steps: 1, guidanceScale: 1 });
    }
  };
  await make(5);
  const before = [engine.bytes, alive()];
  await make(8);
  deepStrictEqual([engine.bytes, alive()], before);
  ok(alive() > 0);
});

Deno.test("a prompt's syntax, skipped layers and a varied seed are heard; usual values change no byte", async () => {
  const plain = await scanlines();
  const changes: Partial<GenerateRequest>[] = [
    { prompt: "a (red:1.5) circle on a blue background" },
    { prompt: "a red circle on a blue background AND a yellow star" },
    { prompt: "a [red:yellow:1] circle on a blue background", steps: 3 },
    { prompt: "a red circle on a blue background BREAK a boat" },
    { clipSkip: 2 },
    { subseed: 2, subseedStrength: 0.3 },
    { seedResizeFrom: { width: 32, height: 32 } },
  ];
  for (const each of changes) notDeepStrictEqual(await scanlines(each), plain, JSON.stringify(each));
  deepStrictEqual(await scanlines({ promptSyntax: "plain", emphasis: "no_norm", clipSkip: 1 }), plain);
});

Deno.test("prompts beyond 77 tokens lose none, and plain ones say how many they lose", async () => {
  const lost = async (changes: Partial<GenerateRequest>) => {
    const [started] = await run({ prompt: "cat ".repeat(100), steps: 1, ...changes });
    return started.type === "started" ? started.truncatedTokens : undefined;
  };
  deepStrictEqual([await lost({}), await lost({ promptSyntax: "plain" })], [0, 25]);
});

Deno.test("layers that there are not and weights beyond all numbers are refused by their field", async () => {
  const layers = engine.standard.model.textEncoder.config.num_hidden_layers;
  await rejects(run({ clipSkip: layers + 1 }), {
    name: "RefusedError",
    field: "clip_skip",
    message: `Field clip_skip is ${layers + 1}, and this text encoder has ${layers} layers, 1 to ${layers} would do`,
  });
  await rejects(run({ negativePrompt: `(a:${"9".repeat(400)})` }), {
    name: "RefusedError",
    field: "negative_prompt",
    message: "Field negative_prompt has a weight beyond all numbers, fewer brackets would do",
  });
  // Beyond single precision, and of a whole part of a composed prompt.
  for (const prompt of [`(a:${"9".repeat(40)})`, `a cat :${"9".repeat(400)} AND a dog`]) {
    await rejects(run({ prompt }), { name: "RefusedError", field: "prompt" });
  }
});
