/**
 * The Worker that owns the GPU, as everything outside it sees it: this is the only file that knows there is one. A Worker
 * that fails, whose device is lost or hangs, is followed by another, which takes its jobs over.
 */
import { prepareDrivers } from "../gpu/drivers.ts";
import type { Engine, EngineOptions, EngineStatus } from "./contract.ts";
import { EngineError, errorOf, type Fault } from "./engine_error.ts";
import { lowerFirst } from "./fields.ts";
import type {
  EngineFailure,
  EngineInfo,
  FromWorker,
  JobEvent,
  MemoryReport,
  ModelInfo,
  StartOptions,
  ToWorker,
} from "./protocol.ts";
import { JobList } from "./job_list.ts";
import { type GivenJob, type JobProgress, JobStream } from "./job_stream.ts";
import { Questions } from "./questions.ts";
import { type FaultCounts, noFaults, Recovery } from "./recovery.ts";
import type { GenerateRequest } from "./request.ts";
import type { EngineJob } from "./together.ts";
import { Pace, Watchdog } from "./watchdog.ts";

export type { Engine, EngineOptions, EngineStatus } from "./contract.ts";
export { EngineError } from "./engine_error.ts";
export type { FaultCounts } from "./recovery.ts";
export type { GivenJob, JobProgress } from "./job_stream.ts";

/** What loading a model and driving a GPU need: files are read and mapped; graphics drivers ask nobody. */
const permissions: Deno.PermissionOptionsObject = {
  read: "inherit",
  ffi: "inherit",
  env: false,
  import: false,
  net: false,
  run: false,
  sys: false,
  write: false,
};

/** Starts the Worker, which loads the model and opens the device. */
export function createEngine(options: EngineOptions): Engine {
  prepareDrivers(); // the Worker may not set what they read
  return new WorkerEngine(options);
}

class WorkerEngine implements Engine {
  readonly #options: StartOptions;
  readonly #module: URL;
  readonly #log: (line: string) => void;
  readonly #gaveUp: (error: EngineError) => void;
  /** Absent between a failure and the next start. */
  #worker?: Worker;
  #status: EngineStatus = { state: "loading" };
  #memory?: MemoryReport;
  readonly #ready = Promise.withResolvers<EngineInfo>();
  readonly #jobs = new JobList();
  /** What is known of models by their names. */
  readonly #described = new Map<string, ModelInfo>();
  readonly #asked = new Questions<ModelInfo>();
  readonly #moves = new Questions<void>();
  readonly #faults: FaultCounts = { ...noFaults };
  /** Runs for which there was not enough memory, however many of their jobs it failed. */
  readonly #full = new WeakSet<readonly JobStream[]>();
  readonly #recovery: Recovery;
  readonly #pace: Pace;
  readonly #watchdog = new Watchdog((ms) => {
    const message = `The GPU has not answered for ${Math.round(ms / 1000)} s`;
    this.#fault("device_hung", new EngineError("device_hung", message));
  });
  #restart?: ReturnType<typeof setTimeout>;

  constructor(
    {
      log = () => {},
      gaveUp = () => {},
      module = new URL("./worker.ts", import.meta.url),
      gpuTimeout = 120_000,
      backoffMs,
      ...options
    }: EngineOptions,
  ) {
    [this.#options, this.#module, this.#log, this.#gaveUp] = [options, module, log, gaveUp];
    this.#recovery = new Recovery({ backoffMs });
    this.#pace = new Pace(gpuTimeout);
    this.#ready.promise.catch(() => {}); // whoever awaits it hears of it; nobody has to
    this.#start();
  }

  get ready(): Promise<EngineInfo> {
    return this.#ready.promise;
  }

  get status(): EngineStatus {
    return this.#status;
  }

  get memory(): MemoryReport | undefined {
    return this.#memory;
  }

  get faults(): Readonly<FaultCounts> {
    return this.#faults;
  }

  async describe(model: string): Promise<ModelInfo> {
    await this.#ready.promise;
    const status = this.#status;
    if (status.state === "failed") throw status.error;
    if (status.state !== "loading" && model === status.info.model.name) return status.info;
    const known = this.#described.get(model);
    if (known) return known;
    return await this.#asked.ask({ type: "describe", id: model, model }, this.#send);
  }

  unload(): Promise<void> {
    return this.#move({ type: "unload", id: crypto.randomUUID() });
  }

  load(model?: string): Promise<void> {
    return this.#move({ type: "load", id: crypto.randomUUID(), model });
  }

  async #move(message: ToWorker & { id: string }): Promise<void> {
    await this.#ready.promise;
    if (this.#status.state === "failed") throw this.#status.error;
    const moved = this.#moves.ask(message, this.#send);
    this.#watch();
    await moved;
  }

  generate(id: string, request: GenerateRequest, signal: AbortSignal): ReadableStream<JobProgress> {
    return this.generateTogether([{ id, request, signal }])[0].events;
  }

  generateTogether(jobs: readonly EngineJob[]): GivenJob[] {
    const streams = jobs.map(({ id, request, signal }) => {
      return new JobStream(id, request, signal, (job) => this.#giveUp(job));
    });
    const status = this.#status, run: JobStream[] = [];
    for (const job of streams) {
      if (status.state === "failed") job.end(status.error);
      else if (job.signal.aborted) job.end(job.signal.reason);
      else run.push(job);
    }
    if (run.length > 0) this.#hand(run);
    this.#watch();
    return streams;
  }

  close(): void {
    this.#stop();
    this.#fail(new EngineError("internal", "The engine was closed"));
  }

  #start(): void {
    const worker = this.#worker = new Worker(this.#module, {
      type: "module",
      name: "engine",
      deno: { permissions },
    });
    // What a Worker sent may arrive after it was ended.
    const ifCurrent = <Message>(handle: (event: Message) => void) => (event: Message) => {
      if (worker === this.#worker) handle(event);
    };
    worker.onmessage = ifCurrent(({ data }: MessageEvent<FromWorker>) => this.#hear(data));
    worker.onerror = (event) => {
      event.preventDefault();
      ifCurrent(() => this.#crashed(`The engine's Worker failed: ${event.message}`))(event);
    };
    worker.onmessageerror = ifCurrent(() => this.#crashed("The engine's Worker sent what cannot be read"));
    // What the device turned out to have it has after a failure, too.
    const options = { ...this.#options, budget: this.#memory?.budget ?? this.#options.budget };
    worker.postMessage({ type: "start", options } satisfies ToWorker);
    this.#watch();
  }

  #stop(): void {
    clearTimeout(this.#restart);
    this.#watchdog.rest();
    this.#worker?.terminate();
    this.#worker = undefined;
  }

  /** A Worker that is not ready yet is sent it once it is. */
  readonly #send = (message: ToWorker): void => {
    if (this.#status.state === "ready") this.#worker!.postMessage(message);
  };

  #hear(message: FromWorker): void {
    switch (message.type) {
      case "log":
        this.#log(message.message);
        return;
      case "described":
        this.#described.set(message.id, message.info);
        this.#asked.close(message.id, { answer: message.info });
        return; // it may answer between two turns of a wait for the GPU
      case "undescribed":
        this.#asked.close(message.id, { error: errorOf(message.error) });
        return;
      case "moved":
        this.#moves.close(message.id, message.error ? { error: errorOf(message.error) } : { answer: undefined });
        break;
      case "unready":
        return this.#unready(errorOf(message.error));
      case "lost":
        return this.#fault("device_lost", errorOf(message.error));
      case "ready":
        this.#begin(message.info);
        break;
      case "memory":
        this.#memory = message.report;
        break;
      case "alive":
        break;
      default:
        this.#progress(message);
    }
    this.#watch();
  }

  #progress(event: JobEvent): void {
    const job = this.#jobs.get(event.id);
    if (!job) return;
    switch (event.type) {
      case "again":
        return this.#retried(job, event.error);
      case "parted":
        this.#retried(job, event.error);
        return job.isWanted ? this.#hand([job]) : this.#end(job, job.signal.reason);
      case "deferred":
        this.#jobs.remove(job);
        return job.defer();
      case "cancelled":
        return this.#end(job, job.signal.reason);
      case "failed":
        return this.#end(job, errorOf(event.error));
      default:
        if (event.type === "step") this.#pace.step({ ...job.request, n: event.pictures }, event.ms);
        job.tell(event);
        if (event.type !== "done") return;
        this.#recovery.succeeded();
        this.#end(job);
    }
  }

  #retried(job: JobStream, { code, message }: EngineFailure): void {
    if (code === "out_of_memory" && !this.#full.has(job.run)) this.#faults.out_of_memory++;
    this.#full.add(job.run);
    this.#faults.retries++;
    this.#log(`${message}; job ${job.id} is begun again`);
  }

  /** The Worker has started: it is given all that was asked meanwhile. */
  #begin(info: EngineInfo): void {
    const before = this.#status;
    if (before.state === "recovering") {
      const [then, now] = [before.info, info].map(({ adapter, precision }) => `${adapter.name} in ${precision}`);
      // Another adapter's pictures are other pictures.
      if (now !== then) return this.#unready(new EngineError("device_lost", `Found ${now} in place of ${then}`));
      this.#faults.recoveries++;
      this.#log(`Recovered on ${info.adapter.name}; jobs that go on: ${this.#jobs.size}`);
    } else this.#pace.started(info);
    this.#status = { state: "ready", info };
    this.#ready.resolve(info);
    this.#asked.repeat(this.#send);
    for (const run of this.#jobs.runs) this.#hand(run);
    this.#moves.repeat(this.#send);
  }

  /** The Worker could not start; the first time that is for whoever wanted it to judge. */
  #unready(error: EngineError): void {
    this.#stop();
    if (this.#status.state === "recovering") this.#recover(this.#status.info, error);
    else this.#fail(error);
  }

  #crashed(message: string): void {
    this.#fault("worker_crashed", new EngineError("worker_crashed", message));
  }

  /** The Worker is of no use any more. The jobs that it ran are to be begun again, unless that was tried before. */
  #fault(kind: Fault, error: EngineError): void {
    const status = this.#status;
    if (status.state !== "ready") return this.#unready(error);
    this.#faults[kind]++;
    this.#stop();
    const { running } = this.#jobs;
    for (const job of this.#jobs.all) if (!job.isWanted) this.#end(job, job.signal.reason);
    for (const job of running) {
      if (!this.#jobs.has(job)) continue;
      if (job.interrupted) {
        const message = `${error.message}, twice with this job, a smaller picture or fewer at once would do`;
        this.#end(job, new EngineError(error.code, message));
      } else {
        job.interrupted = true;
        this.#faults.retries++;
      }
    }
    this.#recover(status.info, error);
  }

  #recover(info: EngineInfo, error: EngineError): void {
    const wait = this.#recovery.failed();
    if (wait === undefined) {
      const message = "The engine failed again and again and is not started any more, a new process would do";
      this.#log(`${error.message}; ${lowerFirst(message)}`);
      const last = new EngineError("engine_failed", `${message}; the last time: ${error.message}`);
      this.#fail(last);
      return this.#gaveUp(last);
    }
    this.#status = { state: "recovering", info, error };
    this.#log(`${error.message}; the engine starts again${wait > 0 ? ` in ${wait / 1000} s` : ""}`);
    this.#restart = setTimeout(() => this.#start(), wait);
  }

  #fail(error: EngineError): void {
    if (this.#status.state !== "failed") this.#status = { state: "failed", error };
    this.#ready.reject(error);
    for (const job of this.#jobs.all) this.#end(job, error);
    this.#asked.fail(error);
    this.#moves.fail(error);
  }

  /** Hands a run to the Worker, once there is one. */
  #hand(run: readonly JobStream[]): void {
    this.#jobs.add(run);
    const jobs = run.map(({ id, request }) => ({ id, request }));
    this.#send({ type: "generate", jobs });
  }

  /** Tells the Worker that nobody wants a job any more, or ends it where none has it. */
  #giveUp(job: JobStream): void {
    if (!this.#jobs.has(job)) return;
    if (this.#status.state === "ready") this.#send({ type: "cancel", id: job.id });
    else this.#end(job, job.signal.reason);
  }

  /** Takes a job off the list, so that its later events go nowhere. */
  #end(job: JobStream, error?: unknown): void {
    this.#jobs.remove(job);
    job.end(error);
  }

  /** From now on the next news of a Worker that starts, of the job that runs, or of weights that move has its time. */
  #watch(): void {
    const status = this.#status, { running } = this.#jobs;
    if (status.state === "loading") this.#watchdog.expect(this.#pace.startAllowance());
    else if (status.state === "recovering" && this.#worker) {
      const took = Object.values(status.info.timing).reduce((sum, ms) => sum + ms, 0);
      this.#watchdog.expect(this.#pace.startAllowance(took));
    } else if (status.state === "ready" && (running.length > 0 || this.#moves.areOpen)) {
      this.#watchdog.expect(this.#pace.allowance(runSize(running) ?? status.info.model.defaults));
    } else this.#watchdog.rest();
  }
}

/** The size of a run's batches at the most, where there is one. */
function runSize([first]: readonly JobStream[]) {
  return first && { ...first.request, n: (first.request.n ?? 1) * first.run.length };
}
