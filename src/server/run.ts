/** Runs one job: reads its picture, waits for its turn, and turns what the engine tells into pictures and news. */
import type { Engine, GivenJob, JobProgress } from "../engine/client.ts";
import type { EngineInfo } from "../engine/protocol.ts";
import { checkTotal, type GenerateRequest } from "../engine/request.ts";
import { attachPictures, pictureCount, preparationOf, sideMultiple } from "../engine/tasks.ts";
import type { PictureFiles, PictureReader } from "../image/read.ts";
import { concat } from "../png/chunk.ts";
import { encodePng } from "../png/encode.ts";
import { filterRows } from "../png/filter.ts";
import type { Batching } from "./batching.ts";
import type { Job } from "./job.ts";
import type { Kind, Work } from "./job_pace.ts";
import type { Place, Turn } from "./queue.ts";

/** What a job runs with. */
export interface Runner {
  pictures: PictureReader;
  /** Hands jobs whose turn has come to the engine. */
  starts: Starts;
  batching: Batching;
}

/** Jobs whose turn came together, as the engine has them. */
interface Run {
  given: ReadonlyMap<Place, GivenJob>;
  /** How many of them were not given back. */
  count: Promise<number>;
}

/** Jobs whose turn came together are handed to the engine together, by whichever of them comes first. */
export class Starts {
  readonly #engine: Engine;
  /** Hears how many jobs run together, once for all of them. */
  readonly #started: (jobs: number) => void;
  readonly #jobs = new WeakMap<Place, Job>();
  readonly #runs = new WeakMap<Turn["together"], Run>();

  constructor(engine: Engine, { started = () => {} }: { started?: (jobs: number) => void } = {}) {
    [this.#engine, this.#started] = [engine, started];
  }

  /** To be told of each job before its turn comes. */
  enter(place: Place, job: Job): void {
    this.#jobs.set(place, job);
  }

  /** The events of the job that has this place, and how many run together; nothing where it is to wait for another turn. */
  async begin(place: Place, { together }: Turn): Promise<Pick<GivenJob, "events"> & Pick<Run, "count"> | undefined> {
    let run = this.#runs.get(together);
    if (!run) this.#runs.set(together, run = this.#hand(together));
    const { events, begun } = run.given.get(place)!;
    return await begun ? { events, count: run.count } : undefined;
  }

  #hand(together: Turn["together"]): Run {
    const made = this.#engine.generateTogether(together.map((each) => this.#jobs.get(each)!));
    const count = Promise.all(made.map(({ begun }) => begun)).then((begun) => begun.filter(Boolean).length);
    count.then(this.#started);
    return { given: new Map(together.map((each, i) => [each, made[i]])), count };
  }
}

/**
 * Runs the job to its end, whatever that is, and leaves its place. `files` is the picture to start from and its mask, not decoded
 * yet; `decoded` is called once it takes no memory any more; jobs of the same `alike` may run together.
 */
export async function runJob(
  job: Job,
  place: Place,
  { pictures, starts, batching }: Runner,
  { files, alike, decoded }: { files?: PictureFiles; alike?: string; decoded: () => void },
): Promise<void> {
  const { request, signal } = job;
  try {
    if (files) {
      const began = Date.now(), from = performance.now();
      attachPictures(request, await pictures.prepare(files, preparationOf(request, sideMultiple), { signal }));
      checkTotal(request); // they may be as large as the picture that was sent
      job.took({ stage: "picture", began, ms: performance.now() - from });
    }
    decoded();
    starts.enter(place, job);
    const { events, isFirst } = await takeTurn(job, place, starts);
    const stepped = (pictures: number, ms: number) => {
      if (isFirst && alike !== undefined) batching.took(alike, pictures, ms);
    };
    await collect(job, observe(job, place, { events, stepped }));
    place.leave({ completed: true });
    job.finish();
  } catch (error) {
    decoded();
    place.leave();
    job.finish(error instanceof Error ? error : new Error(`${error}`));
  }
}

/** Waits until the job runs, in a turn of which the engine has it begin. */
async function takeTurn(job: Job, place: Place, starts: Starts) {
  for (;;) {
    const turn = await place.turn(job.signal), { waitedMs } = turn, started = Date.now();
    job.status = "running";
    const begun = await starts.begin(place, turn);
    if (begun) {
      job.took({ stage: "queue", began: started - waitedMs, ms: waitedMs });
      job.started = started;
      begun.count.then((jobs) => job.together = jobs);
      return { events: begun.events, isFirst: turn.together[0] === place };
    }
    job.status = "queued";
    place.defer();
  }
}

/** What a job has to do: pixels through the model, of which `share` of the steps is run, and pixels to decode. */
export function workOf(request: GenerateRequest, share: number): Work {
  const { hires } = request, pictures = pictureCount(request), { width, height } = hires ?? request;
  const second = hires ? hires.steps * hires.strength * stepWork({ ...request, ...hires }) : 0;
  return { steps: pictures * (request.steps * share * stepWork(request) + second), rest: pictures * width * height };
}

/** What the pace of a job depends on: its model, and pixels through it in a step of its larger pass. */
export function kindOf(request: GenerateRequest, info: EngineInfo): Kind {
  const { model = info.model.name, n = 1, hires } = request;
  return { model, size: n * Math.max(stepWork(request), hires ? stepWork({ ...request, ...hires }) : 0) };
}

function stepWork({ width, height, guidanceScale }: GenerateRequest): number {
  return width * height * (guidanceScale > 1 ? 2 : 1);
}

/** Reads the engine's events, keeps the job's books on the way, and passes on rows. */
async function* observe(
  job: Job,
  place: Place,
  { events, stepped }: {
    events: ReadableStream<JobProgress>;
    /** Hears of every step: for how many pictures it was, and its milliseconds. */
    stepped: (pictures: number, ms: number) => void;
  },
) {
  for await (const event of events) {
    switch (event.type) {
      case "started":
        job.truncatedTokens = event.truncatedTokens;
        job.news.push({ type: "started", truncatedTokens: event.truncatedTokens, queueMs: job.timing.queue });
        break;
      case "step":
        job.step = event.step;
        job.steps = event.steps;
        stepped(event.pictures, event.ms);
        place.progress(event.step / event.steps);
        job.news.push({ type: "progress", step: event.step, steps: event.steps, ms: event.ms });
        break;
      case "preview":
        job.news.push({ type: "preview", index: event.image, step: event.step, png: await pngOf(event) });
        break;
      case "rows":
        yield event;
        break;
      case "stage":
        job.took(event);
        break;
      case "done":
        job.news.push({ type: "done", timing: { ...job.timing } });
        break;
      default:
        event satisfies never;
    }
  }
}

type Rows = Extract<JobProgress, { type: "rows" }>;

/** Encodes the job's pictures, one after the other, from the rows as they come. */
async function collect(job: Job, rows: AsyncGenerator<Rows, void>): Promise<void> {
  const { width, height } = job.size;
  try {
    for (const [index, { infotext, pieces }] of job.pictures.entries()) {
      const text = { parameters: infotext }, from = performance.now();
      let began: number | undefined, waited = 0;
      const bands = bandsOf(rows, height, (ms) => {
        began ??= Date.now();
        waited += ms;
      });
      for await (const piece of encodePng({ width, height, text }, bands)) pieces.push(piece);
      job.took({ stage: "png", began: began!, ms: performance.now() - from - waited });
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

/** The bands of the next picture, of `height` rows; `waited` is told of the milliseconds in which there was none. */
async function* bandsOf(rows: AsyncGenerator<Rows, void>, height: number, waited: (ms: number) => void) {
  for (let next = 0; next < height;) {
    const from = performance.now(), { done, value } = await rows.next();
    waited(performance.now() - from);
    if (done) return;
    yield value.bytes;
    next = value.top + value.rows;
  }
}
