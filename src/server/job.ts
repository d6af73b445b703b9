/** One request on its way: its state, the events so far, its pictures, and who still waits for them. */
import type { GenerateRequest } from "../engine/request.ts";
import type { StageTime } from "../engine/protocol.ts";
import { detachPictures, outputSize } from "../engine/tasks.ts";
import { Broadcast } from "./broadcast.ts";
import { Refusal } from "./refusal.ts";

export type JobStatus = "queued" | "running" | "completed" | "failed" | "cancelled";

/** What is told of a job, in this order: queued, started, progress and preview, image, then done or error. */
export type JobNews =
  /** Jobs before it; told again whenever that changes. */
  | { type: "queued"; position: number }
  /** Tokens cut from its prompts, and milliseconds since it was accepted. */
  | { type: "started"; truncatedTokens: number; queueMs: number }
  | { type: "progress"; step: number; steps: number; ms: number }
  /** A small or early view of picture `index`, as a PNG. */
  | { type: "preview"; index: number; step: number; png: Uint8Array<ArrayBuffer> }
  /** Picture `index` is whole. */
  | { type: "image"; index: number }
  /** Milliseconds by stage. */
  | { type: "done"; timing: Record<string, number> }
  | { type: "error"; error: Error };

/** A picture of a job: the pieces of its PNG as they come. */
export interface JobPicture {
  readonly seed: number;
  readonly infotext: string;
  readonly pieces: Broadcast<Uint8Array<ArrayBuffer>>;
}

/** What a job is made from. */
export interface JobOptions {
  id: string;
  /** Whose it is: nobody else can see it. */
  owner?: string;
  request: GenerateRequest;
  pictures: readonly JobPicture[];
  /** Whether it goes on, and its pictures are kept for a while, when nobody waits for them. */
  detached: boolean;
  /** Whether it starts from a picture. */
  fromImage?: boolean;
  /** Fields of its request that mean nothing here. */
  ignored?: readonly string[];
  /** The surface by which it came, and what its client calls it. */
  tag?: string;
  taskId?: string;
  /** The request by which it came. */
  requestId?: string;
}

export class Job {
  readonly id: string;
  readonly owner?: string;
  readonly request: GenerateRequest;
  readonly fromImage: boolean;
  readonly ignored: readonly string[];
  readonly tag?: string;
  readonly taskId?: string;
  readonly requestId?: string;
  /** Milliseconds since 1970. */
  readonly created = Date.now();
  started?: number;
  finished?: number;
  detached: boolean;
  status: JobStatus = "queued";
  error?: Error;
  /** Jobs before this one while it waits. */
  position = 0;
  truncatedTokens = 0;
  /** Jobs that were run with it, itself included. */
  together = 1;
  /** Steps done, and steps that will be. */
  step = 0;
  steps: number;
  /** The stages that are over: queue, those of the engine, png. */
  readonly stages: StageTime[] = [];
  /** Milliseconds by stage so far; `denoise_gpu` is what of `denoise` was measured on the GPU. */
  readonly timing: Record<string, number> = {};
  news: Broadcast<JobNews> = new Broadcast();
  #pictures: readonly JobPicture[];
  #expired = false;
  readonly #cancel = new AbortController();
  #watchers = 0;
  #over = Promise.withResolvers<void>();

  constructor({ id, owner, request, pictures, detached, fromImage = false, ignored = [], ...options }: JobOptions) {
    const { tag, taskId, requestId } = options;
    this.id = id;
    this.fromImage = fromImage;
    this.ignored = ignored;
    this.tag = tag;
    this.taskId = taskId;
    this.requestId = requestId;
    this.steps = request.steps;
    this.owner = owner;
    this.request = request;
    this.#pictures = pictures;
    this.detached = detached;
  }

  /** Pixels of its pictures. */
  get size(): { width: number; height: number } {
    return outputSize(this.request);
  }

  /** Fires when the job is to be given up. */
  get signal(): AbortSignal {
    return this.#cancel.signal;
  }

  /** Whether nothing more will happen. */
  get isOver(): boolean {
    return this.finished !== undefined;
  }

  /** Resolves when the job is over, however it ended. */
  get over(): Promise<void> {
    return this.#over.promise;
  }

  get watchers(): number {
    return this.#watchers;
  }

  /** Bytes of pictures and previews held. */
  get bytes(): number {
    if (this.#expired) return 0;
    const pictures = this.#pictures.flatMap(({ pieces }) => pieces.items);
    const previews = this.news.items.flatMap((news) => news.type === "preview" ? [news.png] : []);
    return [...pictures, ...previews].reduce((sum, { length }) => sum + length, 0);
  }

  /** The pictures. @throws Refusal once they have been dropped */
  get pictures(): readonly JobPicture[] {
    if (!this.#expired) return this.#pictures;
    throw expired(this);
  }

  get expired(): boolean {
    return this.#expired;
  }

  /** Keeps a stage that is over. */
  took(time: StageTime): void {
    const { stage, ms, gpuMs } = time, { timing } = this;
    this.stages.push(time);
    timing[stage] = (timing[stage] ?? 0) + ms;
    if (gpuMs !== undefined) timing[`${stage}_gpu`] = (timing[`${stage}_gpu`] ?? 0) + gpuMs;
  }

  /** Forgets the pictures and the news of a job that is over; how it ended is still known. */
  expire(): void {
    this.#expired = true;
    this.#pictures = [];
    this.news = new Broadcast();
  }

  /**
   * Counts one that waits for the job, until `signal` fires or the function that is returned is called. When the last one
   * has left, a job that is not detached is given up.
   */
  watch(signal: AbortSignal): () => void {
    this.#watchers++;
    let watching = true;
    const leave = () => {
      if (!watching) return;
      watching = false;
      signal.removeEventListener("abort", leave);
      if (--this.#watchers > 0) return;
      if (!this.detached) this.cancel(new DOMException("The client left", "AbortError"));
      if (this.isOver) this.settled();
    };
    if (signal.aborted) leave();
    else signal.addEventListener("abort", leave, { once: true });
    return leave;
  }

  /** Called when the job is over, and again when the last one has left who waited for it. */
  settled: () => void = () => {};

  /** Gives the job up, unless it is over. */
  cancel(reason: Error): void {
    if (!this.isOver) this.#cancel.abort(reason);
  }

  /** Ends the job; with an error it has failed, or was cancelled where that is why. */
  finish(error?: Error): void {
    if (this.isOver) return;
    this.finished = Date.now();
    detachPictures(this.request);
    this.error = error;
    this.status = !error ? "completed" : this.signal.aborted && !isDeadline(error) ? "cancelled" : "failed";
    for (const { pieces } of this.#pictures) pieces.end({ error });
    if (error) this.news.push({ type: "error", error });
    this.news.end();
    this.#over.resolve();
    this.settled();
  }
}

/** What is said of a job whose pictures and news are gone. */
export function expired({ id }: Job): Refusal {
  return new Refusal("result_expired", `The pictures of job ${id} are no longer kept, the same request would do`);
}

function isDeadline(error: Error): boolean {
  return error instanceof Refusal && error.code === "deadline_passed";
}
