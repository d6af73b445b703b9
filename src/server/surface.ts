/** What every surface is given. */
import type { Context } from "hono";
import type { Engine } from "../engine/client.ts";
import type { EmbeddingEntry } from "../engine/embeddings.ts";
import { weightsIdentity } from "../engine/identity.ts";
import type { ModelEntry } from "../engine/locate.ts";
import type { EngineInfo } from "../engine/protocol.ts";
import { modelOf, type ParsedRequest } from "../engine/request.ts";
import type { PictureWriter } from "../image/write.ts";
import type { Job } from "./job.ts";
import type { Jobs, Order } from "./jobs.ts";
import { Refusal } from "./refusal.ts";
import type { RemotePictures } from "./remote.ts";
import type { Turns } from "./turns.ts";
import type { UploadReader } from "./upload.ts";

export interface Surface {
  engine: Engine;
  jobs: Jobs;
  /** Of requests with the same Idempotency-Key. */
  turns: Turns;
  uploads: UploadReader;
  writer: PictureWriter;
  /** The models that have a name. */
  models: () => readonly ModelEntry[];
  /** Why a name that no model has is none, where there is a file of it. */
  whyNoModel?: (name: string) => string | undefined;
  /** The textual inversions that there are, for whichever text encoder. */
  embeddings: () => readonly EmbeddingEntry[];
  /** Fetches pictures by their addresses, where that is allowed. */
  remote?: RemotePictures;
  /** What the weights are known by, in ETags. */
  weights: string;
  /** What addresses in answers begin with, where that is not where the request came. */
  publicUrl?: string;
  /** Whether answers are for everybody: no keys are asked for. */
  open: boolean;
}

/** The variables of a request's context. */
export interface Env {
  Variables: {
    requestId: string;
    /** Whose request it is, where keys are asked for. */
    owner?: string;
    /** The trace that it belongs to, where there is one. */
    traceId?: string;
    /** The job that it handed in. */
    job?: Job;
  };
}

/** The engine's facts once it is ready; a job that is taken while it recovers waits. @throws Refusal, or the EngineError that it failed with */
export function readyInfo(engine: Engine): EngineInfo {
  switch (engine.status.state) {
    case "ready":
    case "recovering":
      return engine.status.info;
    case "failed":
      throw engine.status.error;
    case "loading":
      throw new Refusal("not_ready", "The model is still loading, a few seconds from now would do", {
        "retry-after": "5",
      });
    default:
      return engine.status satisfies never;
  }
}

/**
 * The engine's facts with those of the model that a request's fields name.
 *
 * @throws RequestError where there is none of that name; Refusal or EngineError
 */
export async function infoOf(
  { engine, models, whyNoModel }: Pick<Surface, "engine" | "models" | "whyNoModel">,
  fields: ReadonlyMap<string, unknown>,
): Promise<EngineInfo> {
  const info = readyInfo(engine);
  const names = () => [...new Set([info.model.name, ...models().map(({ name }) => name)])];
  const name = modelOf(fields, names, whyNoModel);
  if (name === undefined) return info;
  return { ...info, ...await engine.describe(name) };
}

/**
 * Hands in what a request orders, or finds the job that its Idempotency-Key stands for already: for that nothing is parsed
 * or fetched. Requests of one key take turns, so that a second one at the same moment waits for the first one's job, and is
 * a first one itself where that came to nothing.
 *
 * @throws what `parse` and {@link Jobs.submit} throw
 */
export async function handIn(
  c: Context<Env>,
  { jobs, turns }: Pick<Surface, "jobs" | "turns">,
  order: Omit<Order, "parsed" | "owner" | "requestId">,
  { info, parse }: { info: EngineInfo; parse: () => Promise<ParsedRequest> },
): Promise<Job> {
  const { key } = order.idempotency ?? {}, asked = { ...order, owner: c.get("owner"), requestId: c.get("requestId") };
  using _turn = key === undefined ? undefined : await turns.take(JSON.stringify([asked.owner, key]), c.req.raw.signal);
  const job = jobs.repeated(asked) ?? jobs.submit({ ...asked, parsed: await parse() }, info);
  c.set("job", job);
  return job;
}

/** What the weights of a model are known by. */
export function weightsOf({ engine, weights, models }: Surface, name: string): string {
  const path = models().find((entry) => entry.name === name)?.path;
  return path === undefined || name === readyInfo(engine).model.name ? weights : weightsIdentity([path]);
}

/** Refuses a method. */
export function notAllowed(path: string, method: string, allow: string): Refusal {
  const message = `${path.slice(0, 80)} does not take ${method}, ${allow} would do`;
  return new Refusal("method_not_allowed", message, { allow });
}
