/** Runs one job: reads its picture, waits for its turn, and turns what the engine tells into pictures and news. */
import type { Engine, JobProgress } from "../engine/client.ts";
import type { GenerateRequest } from "../engine/request.ts";
import { attachPictures, pictureCount, preparationOf, sideMultiple } from "../engine/tasks.ts";
import type { PictureFiles, PictureReader } from "../image/read.ts";
import { concat } from "../png/chunk.ts";
import { encodePng } from "../png/encode.ts";
import { filterRows } from "../png/filter.ts";
import type { Job } from "./job.ts";
import type { Place } from "./queue.ts";

/** What a job runs with. */
export interface Runner {
  engine: Engine;
  pictures: PictureReader;
}

/**
 * Runs the job to its end, whatever that is, and leaves its place. `files` is the picture to start from and its mask, not decoded
 * yet; `decoded` is called once it takes no memory any more.
 */
export async function runJob(
  job: Job,
  place: Place,
  { engine, pictures }: Runner,
  { files, decoded }: { files?: PictureFiles; decoded: () => void },
): Promise<void> {
  const { request, signal } = job;
  try {
    if (files) attachPictures(request, await pictures.prepare(files, preparationOf(request, sideMultiple), { signal }));
    decoded();
    job.timing.queue = await place.turn(signal);
    job.status = "running";
    job.started = Date.now();
    const events = observe(job, place, engine.generate(job.id, request, signal));
    await collect(job, events);
    place.leave({ completed: true });
    job.finish();
  } catch (error) {
    decoded();
    place.leave();
    job.finish(error instanceof Error ? error : new Error(`${error}`));
  }
}

/** What a job's time is proportional to: pixels through the model, once to decode them. */
export function workOf(request: GenerateRequest, share: number): number {
  const { width, height, hires } = request;
  const second = hires
    ? hires.width * hires.height + hires.steps * hires.strength * stepWork({ ...request, ...hires })
    : 0;
  return pictureCount(request) * (width * height + request.steps * share * stepWork(request) + second);
}

function stepWork({ width, height, guidanceScale }: GenerateRequest): number {
  return width * height * (guidanceScale > 1 ? 2 : 1);
}

/** Reads the engine's events, keeps the job's books on the way, and passes on rows. */
async function* observe(job: Job, place: Place, events: ReadableStream<JobProgress>) {
  const began = performance.now();
  let last = began;
  const { timing } = job;
  Object.assign(timing, { prepare: 0, denoise: 0, decode: 0 });
  for await (const event of events) {
    const now = performance.now();
    switch (event.type) {
      case "started":
        job.truncatedTokens = event.truncatedTokens;
        job.news.push({ type: "started", truncatedTokens: event.truncatedTokens, queueMs: timing.queue });
        break;
      case "step":
        if (event.step === 1) timing.prepare = now - began - event.ms;
        timing.denoise += event.ms;
        job.step = event.step;
        job.steps = event.steps;
        place.progress(event.step / event.steps * workOf(job.request, 1));
        job.news.push({ type: "progress", step: event.step, steps: event.steps, ms: event.ms });
        break;
      case "preview":
        job.news.push({ type: "preview", index: event.image, step: event.step, png: await pngOf(event) });
        break;
      case "rows":
        if (event.image === 0 && event.top === 0) timing.decode = now - last;
        yield event;
        break;
      case "done":
        job.news.push({ type: "done", timing: { queue: timing.queue, ...event.timing } });
        break;
      default:
        event satisfies never;
    }
    last = now;
  }
}

type Rows = Extract<JobProgress, { type: "rows" }>;

/** Encodes the job's pictures, one after the other, from the rows as they come. */
async function collect(job: Job, rows: AsyncGenerator<Rows, void>): Promise<void> {
  const { width, height } = job.size;
  try {
    for (const [index, { infotext, pieces }] of job.pictures.entries()) {
      const text = { parameters: infotext };
      for await (const piece of encodePng({ width, height, text }, bandsOf(rows, height))) pieces.push(piece);
      // Whoever has all of the last picture may count on the job being over.
      if (index < job.pictures.length - 1) pieces.end();
      job.news.push({ type: "image", index });
    }
    for await (const { top } of rows) {
      throw new RangeError(`The engine sent rows from ${top} on after the last picture`);
    }
  } finally {
    await rows.return(); // what failed here is nothing the engine should go on for
  }
}

/** A small picture as a PNG. */
async function pngOf({ width, height, pixels }: { width: number; height: number; pixels: Uint8Array }) {
  return concat(await Array.fromAsync(encodePng({ width, height }, [filterRows(pixels, width)])));
}

/** The bands of the next picture, of `height` rows. */
async function* bandsOf(rows: AsyncGenerator<Rows, void>, height: number) {
  for (let next = 0; next < height;) {
    const { done, value } = await rows.next();
    if (done) return;
    yield value.bytes;
    next = value.top + value.rows;
  }
}
