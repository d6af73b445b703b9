/** Several jobs in one batch of the engine: each has events and an end of its own. */
import { DeviceLostError, GpuOutOfMemoryError } from "../gpu/errors.ts";
import type { Engine } from "./engine.ts";
import type { BatchEvent } from "./making.ts";
import type { EngineFailure, JobEvent } from "./protocol.ts";
import { RefusedError } from "./refused.ts";
import type { GenerateRequest } from "./request.ts";
import { turn } from "./turn.ts";

/** One request to run, the id that its events have, and what gives it up. */
export interface EngineJob {
  id: string;
  request: GenerateRequest;
  signal: AbortSignal;
}

/**
 * Runs jobs: one as it is, several in one batch as far as their prompts let them. Those that fail together are to be tried each
 * alone, so that none fails for another. Says nothing more once the device is lost.
 */
export async function* runJobs(engine: Engine, jobs: readonly EngineJob[]): AsyncGenerator<JobEvent> {
  if (jobs.length === 1) return yield* runAlone(engine, jobs[0]);
  const open = new Set(jobs.map(({ id }) => id));
  /** Those of whose picture something has been told: made anew alone its rows could differ from those by a level. */
  const shown = new Set<string>();
  try {
    for await (const event of engine.together(jobs)) {
      if (event.type === "rows") shown.add(event.id);
      if (isLast(event)) open.delete(event.id);
      yield event;
    }
  } catch (cause) {
    if (await isLost(engine)) return;
    const error = failureOf(cause);
    for (const { id, signal } of jobs.filter(({ id }) => open.has(id))) {
      if (signal.aborted) yield { type: "cancelled", id };
      else yield { type: shown.has(id) ? "failed" : "parted", id, error };
    }
  }
}

async function* runAlone(engine: Engine, { id, request, signal }: EngineJob): AsyncGenerator<JobEvent> {
  try {
    if (signal.aborted) return yield { type: "cancelled", id };
    for await (const progress of engine.generate(request, signal)) yield { ...progress, id };
  } catch (error) {
    if (!await isLost(engine)) yield { type: "failed", id, error: failureOf(error) };
  }
}

/** Whether the device is lost; errors that follow from a loss may come before it. */
async function isLost({ device }: Engine): Promise<boolean> {
  await turn();
  return device.isLost;
}

function isLast({ type }: JobEvent): boolean {
  return type === "done" || type === "failed" || type === "cancelled" || type === "deferred";
}

/** What a batch tells, picture by picture, as events of the jobs whose only pictures these are; those that are left end first. */
export async function* eventsOfJobs(
  events: AsyncGenerator<BatchEvent>,
  jobs: readonly EngineJob[],
  { steps, timing }: { steps: number; timing: () => Record<string, number> },
): AsyncGenerator<JobEvent> {
  const open = new Set(jobs), pictures = jobs.length;
  const left = function* (): Generator<JobEvent> {
    for (const job of open) {
      if (job.signal.aborted && open.delete(job)) yield { type: "cancelled", id: job.id };
    }
  };
  for await (const event of events) {
    yield* left();
    /** Those that the event is for. */
    const told = "image" in event && event.image !== undefined ? [jobs[event.image]] : jobs;
    for (const job of told) {
      const { id } = job;
      if (!open.has(job)) continue;
      switch (event.type) {
        case "step":
          yield { ...event, id, steps, pictures };
          break;
        case "preview":
        case "rows":
          yield { ...event, id, image: 0 };
          break;
        case "stage": {
          const { image: _, gpuMs, ...stage } = event;
          yield { ...stage, id, ...(gpuMs !== undefined && { gpuMs: gpuMs / told.length }) };
          break;
        }
        case "made":
          open.delete(job);
          yield { type: "done", id, timing: timing() };
          break;
        default:
          event satisfies never;
      }
    }
  }
  yield* left();
}

/** A signal that fires once all of some have fired. */
export function whenAll(signals: readonly AbortSignal[]): AbortSignal {
  const all = new AbortController();
  const check = () => {
    if (signals.every(({ aborted }) => aborted)) all.abort();
  };
  for (const signal of signals) signal.addEventListener("abort", check, { once: true });
  check();
  return all.signal;
}

/** A failure as others are told of it. */
export function failureOf(error: unknown): EngineFailure {
  const message = error instanceof Error ? error.message : String(error);
  if (error instanceof RefusedError) return { code: "invalid_request", message, field: error.field };
  if (error instanceof DeviceLostError) return { code: "device_lost", message };
  if (error instanceof GpuOutOfMemoryError) return { code: "out_of_memory", message };
  return { code: "internal", message };
}
