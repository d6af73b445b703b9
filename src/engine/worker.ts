/** The Worker that owns the device: turns messages into runs of the engine, one at a time, in order. */
import { Engine } from "./engine.ts";
import type { FromWorker, StartOptions, ToWorker } from "./protocol.ts";
import { type EngineJob, failureOf, runJobs } from "./together.ts";

/** What TypeScript's window types leave out of a Worker's scope. */
const scope = self as unknown as {
  onmessage: (event: MessageEvent<ToWorker>) => void;
  postMessage(message: FromWorker, transfer?: Transferable[]): void;
};

let engine: Engine | undefined;
/** Milliseconds without a job after which the device's memory is given back, where a request says nothing. */
let keepAlive = Infinity;
/** The timer that gives it back. */
let unloading: ReturnType<typeof setTimeout> | undefined;
/** Timers of more milliseconds fire at once: what is to be kept for longer than 24 days is kept. */
const longestTimer = 2 ** 31 - 1;
/** The jobs not yet answered, each with what cancels it. */
const jobs = new Map<string, AbortController>();
/** Settles when the last job given so far has been answered. */
let last = Promise.resolve();

scope.onmessage = ({ data: message }) => {
  switch (message.type) {
    case "start":
      start(message.options);
      break;
    case "describe":
      describe(message.id, message.model);
      break;
    case "generate":
      generate(message.jobs);
      break;
    case "cancel":
      jobs.get(message.id)?.abort();
      break;
    case "unload":
    case "load":
      clearTimeout(unloading);
      last = last.then(() => move(message));
      break;
    default:
      message satisfies never;
  }
};

async function start({ keepAlive: wanted = Infinity, ...options }: StartOptions): Promise<void> {
  const log = (message: string) => scope.postMessage({ type: "log", message });
  keepAlive = wanted;
  try {
    // While it starts, too: that has a time of its own where another Worker failed before.
    const alive = () => scope.postMessage({ type: "alive" });
    engine = await Engine.open({ ...options, log, alive });
    engine.backend.residency.changed = report;
    report();
    rest(keepAlive);
    engine.device.lost.then((error) => scope.postMessage({ type: "lost", error: failureOf(error) }));
    scope.postMessage({ type: "ready", info: engine.info });
  } catch (error) {
    scope.postMessage({ type: "unready", error: failureOf(error) });
  }
}

/** Gives all device memory back once no job has come for `ms` milliseconds. */
function rest(ms: number): void {
  clearTimeout(unloading);
  if (ms > longestTimer) return;
  if (ms > 0) unloading = setTimeout(() => engine?.unload(), ms);
  else engine?.unload();
}

/** Takes everything off the device, or brings a model's weights to it; no job runs meanwhile. */
async function move(message: Extract<ToWorker, { type: "unload" | "load" }>): Promise<void> {
  const { id } = message;
  try {
    if (!engine) throw new Error("The engine has not started");
    if (message.type === "unload") engine.unload();
    else await engine.load(message.model);
    scope.postMessage({ type: "moved", id });
  } catch (error) {
    scope.postMessage({ type: "moved", id, error: failureOf(error) });
  }
  if (jobs.size === 0) rest(keepAlive);
}

function report(): void {
  if (engine) scope.postMessage({ type: "memory", report: engine.memory });
}

function describe(id: string, model: string): void {
  try {
    if (!engine) throw new Error("The engine has not started");
    scope.postMessage({ type: "described", id, info: engine.describe(model) });
  } catch (error) {
    scope.postMessage({ type: "undescribed", id, error: failureOf(error) });
  }
}

/** Runs jobs once those before them have been answered. */
function generate(asked: Extract<ToWorker, { type: "generate" }>["jobs"]): void {
  clearTimeout(unloading);
  const together = asked.map(({ id, request }) => {
    const cancel = new AbortController();
    jobs.set(id, cancel);
    return { id, request, signal: cancel.signal };
  });
  last = last.then(() => run(together)).finally(() => {
    // A job that was deferred may have been given again already.
    for (const { id, signal } of together) if (jobs.get(id)?.signal === signal) jobs.delete(id);
    if (jobs.size === 0) rest(together.at(-1)?.request.keepAlive ?? keepAlive);
  });
}

async function run(together: readonly EngineJob[]): Promise<void> {
  if (!engine) return; // it says so itself where it could not start
  for await (const event of runJobs(engine, together)) {
    scope.postMessage(event, event.type === "rows" ? [event.bytes.buffer] : []);
  }
}
