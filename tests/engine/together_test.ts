/** Jobs that share batches: the pictures of each are those that it has alone, and so is its end. */
import { deepStrictEqual, match, notDeepStrictEqual, ok } from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { Engine } from "../../src/engine/engine.ts";
import type { JobEvent } from "../../src/engine/protocol.ts";
import { parseRequest } from "../../src/engine/request.ts";
import { type EngineJob, runJobs } from "../../src/engine/together.ts";
import { GpuOutOfMemoryError } from "../../src/gpu/errors.ts";

type Fields = Record<string, unknown>;

const model = fileURLToPath(new URL("../../weights/tiny", import.meta.url));
const open = (precision: "f32" | "f16") => Engine.open({ model, precision, warm: false, log: () => {} });
const engine = await open("f32");
Deno.test.afterAll(() => engine[Symbol.dispose]());

function jobsOf(fields: readonly Fields[], signals: readonly AbortSignal[] = []): EngineJob[] {
  return fields.map((each, i) => ({
    id: `${i}`,
    request: parseRequest(new Map(Object.entries({ steps: 3, width: 64, height: 64, sampler: "Euler a", ...each })), {
      ...engine.info,
      randomSeed: () => 0,
    }).request,
    signal: signals[i] ?? new AbortController().signal,
  }));
}

/** The events of jobs by their ids, without times; `told` hears of each as it comes. */
async function run(on: Engine, jobs: readonly EngineJob[], told: (event: JobEvent) => void = () => {}) {
  const events = new Map<string, JobEvent[]>(jobs.map(({ id }) => [id, []]));
  for await (const event of runJobs(on, jobs)) {
    told(event);
    events.get(event.id)!.push(event);
  }
  return jobs.map(({ id }) => {
    return events.get(id)!.filter(({ type }) => type !== "stage").map((event) => {
      const { id: _, ...rest } = event;
      if (rest.type === "step") return { ...rest, ms: 0, pictures: 0 };
      return rest.type === "done" ? { type: rest.type } : rest;
    });
  });
}

async function runEach(on: Engine, jobs: readonly EngineJob[]) {
  const all: Awaited<ReturnType<typeof run>> = [];
  for (const job of jobs) all.push(...await run(on, [job]));
  return all;
}

const different: Fields[] = [
  { prompt: "a red circle on a blue background", seed: 1 },
  { prompt: "a (yellow:1.3) star", negative_prompt: "blurry", seed: 2, previews: 1 },
  { prompt: "[a boat:a fish:0.5] in the water", seed: 3, subseed: 9, subseed_strength: 0.4, clip_skip: 2 },
  { prompt: "a tree", seed: 4, rng: "cpu", eta_noise_seed_delta: 5, previews: 2, emphasis: "no_norm" },
];

Deno.test("jobs that share a batch have the events and rows that they have alone, byte for byte, whatever they differ in", async () => {
  const ways: Fields[] = [
    {},
    { width: 128, height: 128, sampler: "DPM++ 2M", steps: 2 },
    { width: 96, height: 64, cfg_scale: 1, steps: 2 },
    {
      steps: 2,
      guidance_rescale: 0.5,
      cfg_end: 0.6,
      dynamic_threshold: 1.5,
      tiling: true,
      token_merging_ratio: 0.5,
      sampler: "DPM++ SDE",
    },
  ];
  for (const way of ways) {
    const jobs = jobsOf(different.map((fields) => ({ ...fields, ...way })));
    const alone = await runEach(engine, jobs), batches = new Set<number>();
    const together = await run(engine, jobs, (event) => event.type === "step" && batches.add(event.pictures));
    deepStrictEqual(together, alone, JSON.stringify(way));
    deepStrictEqual([...batches], [4]);
    notDeepStrictEqual(alone[0], alone[1]);
  }
});

Deno.test("so they have where numbers are stored in half precision", async () => {
  using half = await open("f16");
  for (const side of [64, 128]) {
    const jobs = jobsOf(different.map((fields) => ({ ...fields, width: side, height: side, steps: 2 })));
    deepStrictEqual(await run(half, jobs), await runEach(half, jobs));
  }
});

Deno.test("one that is refused, or whose prompt is of another length, keeps none of the others from a batch", async () => {
  const jobs = jobsOf([
    { prompt: "a red circle", seed: 1 },
    { prompt: "a star", seed: 2, clip_skip: 12 },
    { prompt: "a star BREAK in the sky", seed: 3 },
    { prompt: "a fish AND a boat :0.5", seed: 4 },
    { prompt: "a green triangle", seed: 5 },
  ]);
  const batches: [string, number][] = [];
  const events = await run(engine, jobs, (event) => {
    if (event.type === "step" && event.step === 1) batches.push([event.id, event.pictures]);
  });
  deepStrictEqual(batches, [["0", 2], ["4", 2]]);
  const [first, refused, longer, composed, last] = events;
  ok(refused.length === 1 && refused[0].type === "failed" && refused[0].error.code === "invalid_request");
  match(refused[0].error.message, /^Field clip_skip is 12, /);
  deepStrictEqual([longer, composed], [[{ type: "deferred" }], [{ type: "deferred" }]]);
  deepStrictEqual([first, last], await runEach(engine, [jobs[0], jobs[4]]));
});

Deno.test("one that is given up ends within a step and the others go on; when all are, the run ends within a step", async () => {
  const clients = different.map(() => new AbortController());
  const jobs = jobsOf(different, clients.map(({ signal }) => signal)), alone = await runEach(engine, jobs);
  const events = await run(engine, jobs, (event) => {
    if (event.type === "step" && event.step === 1 && event.id === "1") clients[1].abort();
    if (event.type === "rows" && event.id === "0") clients[2].abort();
  });
  deepStrictEqual(events[1].map(({ type }) => type), ["started", "step", "cancelled"]);
  deepStrictEqual(events[2].map(({ type }) => type), ["started", "step", "step", "step", "cancelled"]);
  deepStrictEqual([events[0], events[3]], [alone[0], alone[3]]);

  const others = different.map(() => new AbortController());
  const left = await run(engine, jobsOf(different, others.map(({ signal }) => signal)), (event) => {
    if (event.type === "step" && event.id === "3") { for (const client of others) client.abort(); }
  });
  for (const job of left) deepStrictEqual(job.map(({ type }) => type), ["started", "step", "cancelled"]);

  const gone = jobsOf(different.slice(0, 2), [clients[1].signal, clients[1].signal]);
  deepStrictEqual(await run(engine, gone), [[{ type: "cancelled" }], [{ type: "cancelled" }]]);
});

Deno.test("what fails together is to be tried each alone, with what memory there is: the pictures are the same", async () => {
  using tight = await open("f32");
  const client = new AbortController(), signals = Array.from({ length: 3 }, () => new AbortController().signal);
  const jobs = jobsOf(different, [...signals, client.signal]), alone = await runEach(tight, jobs.slice(0, 3));
  const { pipeline } = tight.standard;
  const { canvas } = pipeline;
  let refusals = 0;
  pipeline.canvas = (size) => {
    if (size.images === 1) return canvas.call(pipeline, size);
    refusals++;
    client.abort();
    throw new GpuOutOfMemoryError("The GPU has no 3 bytes", tight.memory.used);
  };
  const parted: string[] = [];
  const events = await run(tight, jobs, (event) => {
    if (event.type === "parted") parted.push(event.error.code);
  });
  deepStrictEqual([refusals, parted], [1, Array(3).fill("out_of_memory")]);
  const left = events.pop()!;
  for (const job of events) deepStrictEqual(job.map(({ type }) => type), ["started", "parted"]);
  deepStrictEqual(left.map(({ type }) => type), ["started", "cancelled"], "one that was given up meanwhile");
  deepStrictEqual(await runEach(tight, jobs.slice(0, 3)), alone);
  ok(tight.memory.budget !== undefined);
});
