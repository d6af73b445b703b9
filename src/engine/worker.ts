/** The Worker that owns the device: turns messages into runs of the engine, one at a time, in order. */
import { DeviceLostError, GpuOutOfMemoryError } from "../gpu/errors.ts";
import { Engine, RefusedError } from "./engine.ts";
import type { EngineFailure, FromWorker, ToWorker } from "./protocol.ts";
import type { GenerateRequest } from "./request.ts";

/** What TypeScript's window types leave out of a Worker's scope. */
const scope = self as unknown as {
  onmessage: (event: MessageEvent<ToWorker>) => void;
  postMessage(message: FromWorker, transfer?: Transferable[]): void;
};

let engine: Engine | undefined;
/** The jobs not yet answered, each with what cancels it. */
const jobs = new Map<string, AbortController>();
/** Settles when the last job given so far has been answered. */
let last = Promise.resolve();

scope.onmessage = ({ data: message }) => {
  switch (message.type) {
    case "start":
      start(message);
      break;
    case "generate": {
      const { id, request } = message, cancel = new AbortController();
      jobs.set(id, cancel);
      last = last.then(() => run(id, request, cancel.signal)).finally(() => jobs.delete(id));
      break;
    }
    case "cancel":
      jobs.get(message.id)?.abort();
      break;
    default:
      message satisfies never;
  }
};

async function start({ model, vae, gpu, precision }: Extract<ToWorker, { type: "start" }>): Promise<void> {
  const log = (message: string) => scope.postMessage({ type: "log", message });
  try {
    engine = await Engine.open({ model, vae, gpu, precision, log });
    engine.device.lost.then((error) => scope.postMessage({ type: "unready", error: failure(error) }));
    scope.postMessage({ type: "ready", info: engine.info });
  } catch (error) {
    scope.postMessage({ type: "unready", error: failure(error) });
  }
}

async function run(id: string, request: GenerateRequest, signal: AbortSignal): Promise<void> {
  try {
    if (signal.aborted) return scope.postMessage({ type: "cancelled", id });
    if (!engine) throw new Error("The engine has not started");
    for await (const progress of engine.generate(request, signal)) {
      const event = { ...progress, id };
      scope.postMessage(event, event.type === "rows" ? [event.bytes.buffer] : []);
    }
  } catch (error) {
    scope.postMessage({ type: "failed", id, error: failure(error) });
  }
}

function failure(error: unknown): EngineFailure {
  const message = error instanceof Error ? error.message : String(error);
  if (error instanceof RefusedError) return { code: "invalid_request", message, field: error.field };
  if (error instanceof DeviceLostError) return { code: "device_lost", message };
  if (error instanceof GpuOutOfMemoryError) return { code: "out_of_memory", message };
  return { code: "internal", message };
}
