/** The engine as everything outside sees it, and what it is started with. */
import type { EngineError } from "./engine_error.ts";
import type { GivenJob, JobProgress } from "./job_stream.ts";
import type { EngineInfo, MemoryReport, ModelInfo, StartOptions } from "./protocol.ts";
import type { FaultCounts } from "./recovery.ts";
import type { GenerateRequest } from "./request.ts";
import type { EngineJob } from "./together.ts";

/** What the engine is doing: `failed` is final, its jobs have failed and new ones will. */
export type EngineStatus =
  | { state: "loading" }
  | { state: "ready"; info: EngineInfo }
  /** Its device or Worker failed and another one starts: jobs are taken and wait for it. */
  | { state: "recovering"; info: EngineInfo; error: EngineError }
  | { state: "failed"; error: EngineError };

export interface Engine {
  /** Resolves once pictures can be made; rejects with an EngineError when the model or a device cannot be had. */
  readonly ready: Promise<EngineInfo>;
  readonly status: EngineStatus;
  /** What device memory is used for, as of the last change; undefined until the engine is ready. */
  readonly memory: MemoryReport | undefined;
  readonly faults: Readonly<FaultCounts>;
  /**
   * What requests for a model depend on: its defaults and limits. The engine looks at a model once; while it makes a
   * picture that may take as long as a step. Rejects with an EngineError where there is no such model.
   */
  describe(model: string): Promise<ModelInfo>;
  /** Gives all device memory back, after the job that runs; the next one brings back what it needs. */
  unload(): Promise<void>;
  /** Brings a model's weights to the device, after the job that runs. Rejects with an EngineError where it cannot. */
  load(model?: string): Promise<void>;
  /**
   * Runs one job and yields its events as they come, whether or not they are read. A job that was running when the
   * device or the Worker failed is begun again, once; its stream goes on where it was. Fails with an EngineError, or with
   * the signal's reason once the engine has given the job up; cancelling the stream gives it up as well.
   */
  generate(id: string, request: GenerateRequest, signal: AbortSignal): ReadableStream<JobProgress>;
  /**
   * Runs several jobs of one picture each, which differ in prompts, seeds and previews alone, in one batch: the first, and those
   * whose prompts and what memory there is allow it. The stream of each is as {@link generate} gives it; whatever fails the
   * batch, each is begun again on its own.
   */
  generateTogether(jobs: readonly EngineJob[]): GivenJob[];
  /** Ends the Worker and with it the device; jobs still running fail. */
  close(): void;
}

export interface EngineOptions extends StartOptions {
  /** Takes what the engine has to tell whoever runs it, a line at a time. */
  log?: (line: string) => void;
  /**
   * Milliseconds that the GPU may take without news of a job before it counts as hung, or ten of the slowest step's where
   * that is longer; Infinity waits for ever.
   */
  gpuTimeout?: number;
  /** Milliseconds before a second start in a row: see recovery.ts. */
  backoffMs?: number;
  /** Hears that an engine which was ready has failed for good. */
  gaveUp?: (error: EngineError) => void;
  /** The Worker's module: another one that speaks the same protocol. */
  module?: URL;
}
