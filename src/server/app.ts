/** The routes. Everything is handed in, so that tests call `app.request()` with an engine of their own. */
import { type Context, Hono } from "hono";
import { requestId } from "hono/request-id";
import type { Engine } from "../engine/client.ts";
import { listModels, type ModelEntry } from "../engine/locate.ts";
import type { EngineInfo } from "../engine/protocol.ts";
import { type GenerateRequest, parseRequest } from "../engine/request.ts";
import type { PictureReader } from "../image/read.ts";
import { errorResponse, isUnexpected } from "./errors.ts";
import { modelRoutes } from "./models.ts";
import type { Queue } from "./queue.ts";
import { Refusal } from "./refusal.ts";
import { startPicture } from "./stream.ts";
import type { UploadReader } from "./upload.ts";

export interface AppOptions {
  queue: Queue;
  uploads: UploadReader;
  pictures: PictureReader;
  /** The models that have a name, for `/v1/models`. */
  models?: () => readonly ModelEntry[];
  /** Takes a line about what is the programme's own fault. */
  log?: (line: string) => void;
}

/**
 * The server's routes over an engine.
 *
 * @example const app = createApp(createEngine({ model }), { queue: new Queue({ capacity: 64 }), pictures });
 */
export function createApp(
  engine: Engine,
  { queue, uploads, pictures, models = listModels, log = console.error }: AppOptions,
): Hono {
  const app = new Hono();
  app.use(requestId());

  app.on(["GET", "POST"], "/generate", async (c) => {
    // Hono answers HEAD as it answers GET; a picture nobody receives is not worth its time.
    if (c.req.raw.method === "HEAD") throw notAllowed(c, "GET, POST");
    const info = readyInfo(engine);
    using upload = await uploads.read(c.req.raw);
    const { request, initImageFile, ignored } = parseRequest(upload.fields, info);

    const abandoned = new AbortController();
    const signal = AbortSignal.any([c.req.raw.signal, abandoned.signal]);
    const work = workOf(request, initImageFile ? request.strength : 1);
    const place = queue.enter({ work, guessMs: guessMs(work, info) });
    try {
      const { width, height } = request;
      if (initImageFile) request.initImage = await pictures.read(initImageFile, { width, height, signal });
      upload[Symbol.dispose]();
      const queueMs = await place.turn(signal);
      const id = crypto.randomUUID();
      const events = engine.generate(id, request, signal);
      const abandon = () => abandoned.abort(new DOMException("The client left", "AbortError"));
      const picture = await startPicture(events, {
        request,
        model: info.model,
        abandon,
        stepped: (step) => place.progress(step * stepWork(request)),
      });
      picture.over.then(() => place.leave({ completed: true }), (error) => {
        place.leave();
        if (isUnexpected(error)) log(`Job ${id} failed: ${error}`);
      });
      return c.body(picture.body, {
        headers: {
          "content-type": "image/png",
          "x-job-id": id,
          "x-seed": `${request.seed}`,
          "x-queue-ms": queueMs.toFixed(0),
          "x-truncated-tokens": `${picture.truncatedTokens}`,
          "x-adapter": adapterOf(info),
          "server-timing": serverTiming({ queue: queueMs, ...picture.timing }),
          ...(ignored.length > 0 && { "x-ignored-fields": headerOf(ignored) }),
        },
      });
    } catch (error) {
      place.leave();
      throw error;
    }
  });

  app.get("/health/live", (c) => c.json({ status: "live" }));
  app.get("/health/ready", (c) => c.json(...readiness(engine, queue)));
  app.get("/health", (c) => {
    const [ready, status] = readiness(engine, queue);
    return c.json({ live: true, ...ready }, status);
  });

  const loaded = () => engine.status.state === "ready" ? engine.status.info.model.name : undefined;
  app.route("/v1/models", modelRoutes(() => models(), loaded));

  app.all("/generate", (c) => {
    throw notAllowed(c, "GET, POST");
  });
  for (const path of ["/health", "/health/live", "/health/ready"]) {
    app.all(path, (c) => {
      throw notAllowed(c, "GET, HEAD");
    });
  }
  app.notFound((c) => {
    const message = `There is nothing at ${c.req.path.slice(0, 80)}, /generate, /health and /v1/models would do`;
    return errorResponse(new Refusal("not_found", message));
  });
  app.onError((error, c) => {
    if (isUnexpected(error) && !c.req.raw.signal.aborted) {
      log(`${c.req.method} ${c.req.path} failed: ${error.stack ?? error}`);
    }
    const response = errorResponse(error);
    response.headers.set("x-request-id", c.get("requestId"));
    return response;
  });
  return app;
}

function notAllowed(c: Context, allow: string): Refusal {
  return new Refusal("method_not_allowed", `${c.req.path} does not take ${c.req.method}, ${allow} would do`, { allow });
}

/** The engine's facts once it is ready. @throws Refusal, or the EngineError that it failed with */
function readyInfo(engine: Engine): EngineInfo {
  switch (engine.status.state) {
    case "ready":
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

/** What `/health/ready` says, and its status: 200 where a job would be taken. */
function readiness(engine: Engine, queue: Queue): [Record<string, unknown>, 200 | 503] {
  const held = { length: queue.length, capacity: queue.capacity };
  const { status } = engine;
  if (status.state === "loading") return [{ status: "loading", queue: held }, 503];
  if (status.state === "failed") return [{ status: "failed", error: status.error.message, queue: held }, 503];
  const { info } = status;
  return [{ status: queue.draining ? "draining" : "ready", ...info, queue: held }, queue.draining ? 503 : 200];
}

/** What a job's time is proportional to: pixels through the model, once to decode them. */
function workOf(request: GenerateRequest, share: number): number {
  return request.width * request.height + request.steps * share * stepWork(request);
}

function stepWork({ width, height, guidanceScale }: GenerateRequest): number {
  return width * height * (guidanceScale > 1 ? 2 : 1);
}

/** A first guess at a job's time, rather too long: warming up compiled kernels too, and took five times the default size. */
function guessMs(work: number, { timing: { warm }, model: { defaults } }: EngineInfo): number | undefined {
  return warm && warm * work / (5 * defaults.width * defaults.height);
}

/** "NVIDIA H100", or "llvmpipe (software)"; a header cannot hold more than Latin-1. */
function adapterOf({ adapter: { name, software } }: EngineInfo): string {
  return `${name.replace(/[^\x20-\x7e]/g, "?")}${software ? " (software)" : ""}`;
}

/** Names that clients made up, safe in a header and of bounded length. */
function headerOf(names: string[]): string {
  return names.slice(0, 20).map((name) => encodeURIComponent(name.toWellFormed().slice(0, 40))).join(", ");
}

function serverTiming(timing: Record<string, number>): string {
  return Object.entries(timing).map(([name, ms]) => `${name};dur=${ms.toFixed(1)}`).join(", ");
}
