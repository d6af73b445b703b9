/** The Worker that owns the GPU, as everything outside it sees it: this is the only file that knows there is one. */
import { useWidestVectors } from "../gpu/vectors.ts";
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
import type { GenerateRequest } from "./request.ts";

/** A job or an engine that failed, with the failure's code. */
export class EngineError extends Error {
  override name = "EngineError";
  constructor(readonly code: EngineFailure["code"], message: string, readonly field?: string) {
    super(message);
  }
}

/** What the engine is doing: `failed` is final, its jobs have failed and new ones will. */
export type EngineStatus =
  | { state: "loading" }
  | { state: "ready"; info: EngineInfo }
  | { state: "failed"; error: EngineError };

/** What happens to a job that does not fail: started, step…, rows…, done. */
export type JobProgress = Exclude<JobEvent, { type: "cancelled" | "failed" }>;

export interface Engine {
  /** Resolves once pictures can be made; rejects with an EngineError when the model or a device cannot be had. */
  readonly ready: Promise<EngineInfo>;
  readonly status: EngineStatus;
  /** What device memory is used for, as of the last change; undefined until the engine is ready. */
  readonly memory: MemoryReport | undefined;
  /**
   * What requests for a model depend on: its defaults and limits. The engine looks at a model once; while it makes a
   * picture that may take as long as a step. Rejects with an EngineError where there is no such model.
   */
  describe(model: string): Promise<ModelInfo>;
  /**
   * Runs one job and yields its events as they come, whether or not they are read. Fails with an EngineError, or with
   * the signal's reason once the engine has given the job up; cancelling the stream gives it up as well.
   */
  generate(id: string, request: GenerateRequest, signal: AbortSignal): ReadableStream<JobProgress>;
  /** Ends the Worker and with it the device; jobs still running fail. */
  close(): void;
}

export interface EngineOptions extends StartOptions {
  /** Takes what the engine has to tell whoever runs it, a line at a time. */
  log?: (line: string) => void;
  /** The Worker's module: another one that speaks the same protocol. */
  module?: URL;
}

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

interface Job {
  controller: ReadableStreamDefaultController<JobProgress>;
  signal: AbortSignal;
  /** Stops listening to the signal. */
  release(): void;
}

/** Starts the Worker, which loads the model and opens the device. */
export function createEngine(
  { log = () => {}, module = new URL("./worker.ts", import.meta.url), ...options }: EngineOptions,
): Engine {
  useWidestVectors(); // the Worker may not set what its driver reads
  const worker = new Worker(module, { type: "module", name: "engine", deno: { permissions } });
  const jobs = new Map<string, Job>();
  const ready = Promise.withResolvers<EngineInfo>();
  ready.promise.catch(() => {}); // whoever awaits it hears of it; nobody has to
  let status: EngineStatus = { state: "loading" };
  let memory: MemoryReport | undefined;
  /** What has been asked about models, by their names; what failed is asked again. */
  const described = new Map<string, PromiseWithResolvers<ModelInfo>>();

  const send = (message: ToWorker) => worker.postMessage(message);

  /** Takes a job off the list, so that its later events go nowhere. */
  function finish(id: string): Job | undefined {
    const job = jobs.get(id);
    jobs.delete(id);
    job?.release();
    return job;
  }

  function fail(failure: EngineFailure): void {
    const error = errorOf(failure);
    if (status.state !== "failed") status = { state: "failed", error };
    ready.reject(error);
    for (const id of [...jobs.keys()]) finish(id)?.controller.error(error);
    for (const { reject } of described.values()) reject(error);
  }

  worker.onmessage = ({ data: message }: MessageEvent<FromWorker>) => {
    switch (message.type) {
      case "log":
        log(message.message);
        return;
      case "ready":
        status = { state: "ready", info: message.info };
        ready.resolve(message.info);
        return;
      case "memory":
        memory = message.report;
        return;
      case "described":
        described.get(message.id)?.resolve(message.info);
        return;
      case "undescribed":
        described.get(message.id)?.reject(errorOf(message.error));
        described.delete(message.id);
        return;
      case "unready":
        fail(message.error);
        return;
      case "started":
      case "step":
      case "preview":
      case "stage":
      case "rows":
        jobs.get(message.id)?.controller.enqueue(message);
        return;
      case "done": {
        const job = finish(message.id);
        job?.controller.enqueue(message);
        job?.controller.close();
        return;
      }
      case "cancelled": {
        const job = finish(message.id);
        job?.controller.error(job.signal.reason);
        return;
      }
      case "failed":
        finish(message.id)?.controller.error(errorOf(message.error));
        return;
      default:
        message satisfies never;
    }
  };
  worker.onerror = (event) => {
    event.preventDefault();
    fail({ code: "internal", message: `The engine's Worker failed: ${event.message}` });
    worker.terminate();
  };
  worker.onmessageerror = () => fail({ code: "internal", message: "The engine's Worker sent what cannot be read" });
  send({ type: "start", options });

  return {
    ready: ready.promise,
    get status() {
      return status;
    },
    get memory() {
      return memory;
    },

    async describe(model) {
      const info = await ready.promise;
      if (status.state === "failed") throw status.error;
      if (model === info.model.name) return info;
      let asked = described.get(model);
      if (!asked) {
        described.set(model, asked = Promise.withResolvers());
        send({ type: "describe", id: model, model });
      }
      return await asked.promise;
    },

    generate(id, request, signal) {
      return new ReadableStream<JobProgress>({
        start(controller) {
          if (status.state === "failed") return controller.error(status.error);
          if (signal.aborted) return controller.error(signal.reason);
          const cancel = () => send({ type: "cancel", id });
          signal.addEventListener("abort", cancel, { once: true });
          jobs.set(id, { controller, signal, release: () => signal.removeEventListener("abort", cancel) });
          send({ type: "generate", id, request });
        },
        cancel() {
          if (finish(id)) send({ type: "cancel", id });
        },
      }, { highWaterMark: Infinity });
    },

    close() {
      fail({ code: "internal", message: "The engine was closed" });
      worker.terminate();
    },
  };
}

function errorOf({ code, message, field }: EngineFailure): EngineError {
  return new EngineError(code, message, field);
}
