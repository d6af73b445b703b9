/** An engine that a test drives by hand, event by event, in place of the Worker; its pictures are real filtered rows. */
import {
  type Engine,
  EngineError,
  type EngineStatus,
  type FaultCounts,
  type GivenJob,
  type JobProgress,
} from "../../src/engine/client.ts";
import { noFaults } from "../../src/engine/recovery.ts";
import type { EngineInfo, MemoryReport, ModelInfo } from "../../src/engine/protocol.ts";
import type { GenerateRequest } from "../../src/engine/request.ts";
import type { EngineJob } from "../../src/engine/together.ts";
import { filterRows } from "../png/filter_rows.ts";

export const info: EngineInfo = {
  model: {
    name: "tiny",
    defaults: { width: 64, height: 64, steps: 8, guidanceScale: 3, sampler: "dpmpp_2m", scheduler: "automatic" },
    textWidth: 4,
  },
  adapter: { name: "llvmpipe", backend: "vulkan", software: true },
  precision: "f32",
  limits: { maxSide: 4096, maxPixels: 1024 * 1024, multiple: 8 },
  timing: { load: 1 },
};

/** One job as the Worker has it. */
export class FakeJob {
  constructor(
    readonly id: string,
    readonly request: GenerateRequest,
    readonly signal: AbortSignal,
    readonly controller: ReadableStreamDefaultController<JobProgress>,
    readonly begin: (begun: boolean) => void,
  ) {}

  /** Is to be given again. */
  defer(): void {
    this.begin(false);
    this.controller.close();
  }

  #tell(event: JobProgress): void {
    this.begin(true);
    this.controller.enqueue(event);
  }

  start(truncatedTokens = 0): void {
    this.#tell({ type: "started", id: this.id, truncatedTokens });
  }

  step(step: number, { pictures = 1, ms = 1 } = {}): void {
    this.#tell({ type: "step", id: this.id, step, steps: this.request.steps, ms, pictures });
  }

  /** Sends a view of one eighth of the size, in which every sample is the step. */
  preview(step: number, image = 0): void {
    const [width, height] = [this.request.width / 8, this.request.height / 8];
    const pixels = new Uint8Array(width * height * 3).fill(step);
    this.#tell({ type: "preview", id: this.id, image, step, width, height, pixels });
  }

  /** Sends the rows from `top` on, of a picture in which every sample is its seed's last byte. */
  rows(top: number, rows: number, image = 0): void {
    const { width, height, seed } = this.request;
    const picture = filterRows(new Uint8Array(width * height * 3).fill((seed + image) & 0xff), width);
    const bytes = picture.slice(top * (1 + 3 * width), (top + rows) * (1 + 3 * width));
    this.#tell({ type: "rows", id: this.id, image, top, rows, bytes });
  }

  /** Tells of stages that took no time but what is said. */
  stages(): void {
    const denoise = this.request.steps;
    for (const [stage, ms] of [["text", 2], ["denoise", denoise], ["decode", 3]] as const) {
      const gpuMs = stage === "denoise" ? ms - 0.5 : undefined;
      this.#tell({ type: "stage", id: this.id, stage, began: Date.now() - ms, ms, gpuMs });
    }
  }

  done(): void {
    this.#tell({ type: "done", id: this.id, timing: {} });
    this.end();
  }

  end(): void {
    this.begin(true);
    this.controller.close();
  }

  fail(error: Pick<EngineError, "code" | "message" | "field">): void {
    this.begin(true);
    this.controller.error(new EngineError(error.code, error.message, error.field));
  }

  /** What the Worker does when it has read a cancellation. */
  cancelled(): void {
    this.begin(true);
    this.controller.error(this.signal.reason);
  }

  /** Everything from start to end. */
  run(): void {
    this.start();
    for (let step = 1; step <= this.request.steps; step++) this.step(step);
    this.stages();
    const { height, n = 1, iterations = 1 } = this.request;
    for (let image = 0; image < n * iterations; image++) {
      for (let top = 0; top < height; top += 16) this.rows(top, Math.min(16, height - top), image);
    }
    this.done();
  }
}

export class FakeEngine implements Engine {
  readonly ready = Promise.resolve(info);
  status: EngineStatus = { state: "ready", info };
  memory: MemoryReport | undefined;
  faults: FaultCounts = { ...noFaults };
  readonly jobs: FakeJob[] = [];
  /** Models that can be asked for beside the first, by name. */
  readonly others = new Map<string, ModelInfo>();
  #arrivals: ((job: FakeJob) => void)[] = [];
  #taken = 0;

  /** The jobs of each run, by how many there were. */
  readonly runs: FakeJob[][] = [];

  generateTogether(jobs: readonly EngineJob[]): GivenJob[] {
    const from = this.jobs.length, given = jobs.map((job) => this.#take(job));
    this.runs.push(this.jobs.slice(from));
    return given;
  }

  generate(id: string, request: GenerateRequest, signal: AbortSignal): ReadableStream<JobProgress> {
    return this.#take({ id, request, signal }).events;
  }

  #take({ id, request, signal }: EngineJob): GivenJob {
    const { promise: begun, resolve } = Promise.withResolvers<boolean>();
    const events = new ReadableStream<JobProgress>({
      start: (controller) => {
        this.jobs.push(new FakeJob(id, request, signal, controller, resolve));
        this.#hand();
      },
    }, { highWaterMark: Infinity });
    return { events, begun };
  }

  describe(model: string): Promise<ModelInfo> {
    const found = model === info.model.name ? info : this.others.get(model);
    return found ? Promise.resolve(found) : Promise.reject(new EngineError("invalid_request", `There is no ${model}`));
  }

  /** What was unloaded and loaded, in turn. */
  readonly moves: string[] = [];

  unload(): Promise<void> {
    this.moves.push("unload");
    return Promise.resolve();
  }

  load(model?: string): Promise<void> {
    this.moves.push(`load ${model ?? info.model.name}`);
    return Promise.resolve();
  }

  /** The next job that comes in. */
  next(): Promise<FakeJob> {
    const { promise, resolve } = Promise.withResolvers<FakeJob>();
    this.#arrivals.push(resolve);
    this.#hand();
    return promise;
  }

  close(): void {}

  #hand(): void {
    while (this.#arrivals.length > 0 && this.#taken < this.jobs.length) {
      this.#arrivals.shift()!(this.jobs[this.#taken++]);
    }
  }
}
