/** What every surface is given. */
import type { Context } from "hono";
import type { Engine } from "../engine/client.ts";
import type { EmbeddingEntry } from "../engine/embeddings.ts";
import { weightsIdentity } from "../engine/identity.ts";
import type { ModelEntry } from "../engine/locate.ts";
import type { EngineInfo } from "../engine/protocol.ts";
import { modelOf } from "../engine/request.ts";
import type { PictureWriter } from "../image/write.ts";
import type { Job } from "./job.ts";
import type { Jobs, Order } from "./jobs.ts";
import { Refusal } from "./refusal.ts";
import type { RemotePictures } from "./remote.ts";
import type { UploadReader } from "./upload.ts";

export interface Surface {
  engine: Engine;
  jobs: Jobs;
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
 * The job that a request's Idempotency-Key stands for already, if there is one: nothing is parsed or fetched for it.
 *
 * @throws Refusal where the key belongs to another request
 */
export function repeated(
  c: Context<Env>,
  { jobs }: Pick<Surface, "jobs">,
  order: Pick<Order, "idempotency" | "detached" | "release">,
): Job | undefined {
  const job = jobs.repeated({ ...order, owner: c.get("owner") });
  if (job) c.set("job", job);
  return job;
}

/** Hands in what a request orders. @throws what {@link Jobs.submit} throws */
export function submit(
  c: Context<Env>,
  { jobs }: Pick<Surface, "jobs">,
  order: Omit<Order, "owner" | "requestId">,
  info: EngineInfo,
): Job {
  const job = jobs.submit({ ...order, owner: c.get("owner"), requestId: c.get("requestId") }, info);
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
