/** The routes. Everything is handed in, so that tests call `app.request()` with an engine of their own. */
import { Hono } from "hono";
import { requestId } from "hono/request-id";
import type { Engine } from "../engine/client.ts";
import type { EmbeddingEntry } from "../engine/embeddings.ts";
import { listModels, type ModelEntry } from "../engine/locate.ts";
import type { PictureReader } from "../image/read.ts";
import { PictureWriter } from "../image/write.ts";
import { logRequest, observeRequests } from "./access.ts";
import type { Batching } from "./batching.ts";
import { errorResponse, type ErrorShape, isUnexpected } from "./errors.ts";
import { a1111Routes, controlNetRoutes } from "./a1111/routes.ts";
import { capabilityRoutes } from "./capabilities.ts";
import { Counts } from "./counts.ts";
import { docsRoutes } from "./docs/routes.ts";
import { generateRoutes } from "./generate.ts";
import { huggingFaceRoutes } from "./huggingface.ts";
import { jobRoutes } from "./job_routes.ts";
import type { Job } from "./job.ts";
import { Jobs, type JobsOptions, stopped } from "./jobs.ts";
import { KeyRing, requireKey } from "./keys.ts";
import { kserveRoutes } from "./kserve.ts";
import { Log } from "./log.ts";
import { metricsOf } from "./metrics.ts";
import { modelRoutes } from "./models.ts";
import { openAiRoutes } from "./openai/routes.ts";
import { isPage, pageRoutes } from "./page/routes.ts";
import { allowOrigins, requireHost, secure } from "./protect.ts";
import type { Queue } from "./queue.ts";
import type { RateLimit } from "./rate.ts";
import type { RemotePictures } from "./remote.ts";
import { Refusal } from "./refusal.ts";
import { type Env, notAllowed, type Surface } from "./surface.ts";
import { traceJob, traceRequests } from "./trace.ts";
import { Turns } from "./turns.ts";
import type { UploadReader } from "./upload.ts";

export interface AppOptions {
  queue: Queue;
  /** Says which jobs run together, as to the queue; each runs alone where it is absent. */
  batching?: Batching;
  uploads: UploadReader;
  pictures: PictureReader;
  writer?: PictureWriter;
  /** The models that have a name, for `/v1/models`. */
  models?: () => readonly ModelEntry[];
  /** Why a name that no model has is none, where there is a file of it. */
  whyNoModel?: (name: string) => string | undefined;
  /** The textual inversions that there are, for A1111's clients. */
  embeddings?: () => readonly EmbeddingEntry[];
  /** Fetches pictures by their addresses; none are where it is absent. */
  remote?: RemotePictures;
  /** What the weights are known by, in ETags: other weights, another text. */
  weights?: string;
  /** How long and how many results are kept. */
  results?: Pick<JobsOptions, "ttlMs" | "maxBytes" | "maxRecords" | "now">;
  /** What addresses in answers begin with; where each request came where it is absent. */
  publicUrl?: string;
  /** The keys that are asked for; none where it is empty. */
  keys?: KeyRing;
  rate?: RateLimit;
  /** Origins whose pages may read the answers. */
  origins?: readonly string[];
  /** Whether `/metrics` is answered without a key. */
  openMetrics?: boolean;
  /** Counts requests and jobs for `/metrics`. */
  counts?: Counts;
  /** Takes a line for every request, and for what is the programme's own fault. */
  log?: Log;
  /** Whether the log tells what prompts say. */
  logPrompts?: boolean;
  /** Fires when jobs that are not over are to be given up, because the server ends. */
  stopping?: AbortSignal;
}

/**
 * The server's routes over an engine.
 *
 * @example const app = createApp(createEngine({ model }), { queue: new Queue({ capacity: 64 }), uploads, pictures });
 */
export function createApp(
  engine: Engine,
  options: AppOptions,
): Hono<Env> {
  const { queue, batching, uploads, pictures, writer = new PictureWriter(), remote, publicUrl } = options;
  const { models = listModels, embeddings = () => [], weights = "", results } = options;
  const { log = new Log({ level: "error" }), logPrompts: prompts = false, stopping } = options;
  const { counts = new Counts() } = options;
  const { keys = new KeyRing([]), rate, origins = [], openMetrics = false } = options;
  const app = new Hono<Env>();
  app.use(requestId());
  app.use(traceRequests());
  app.use(observeRequests((c, answered) => {
    counts.answered(answered);
    logRequest(log, c, answered, { prompts });
  }));
  app.use(secure());
  app.use(requireHost());
  app.use(allowOrigins(origins));
  app.use(async (c, next) => {
    await next();
    c.res.headers.set("x-request-id", c.get("requestId"));
    if (queue.draining) c.res.headers.set("connection", "close"); // the next request is for another server
  });

  const isOpen = (path: string) =>
    isPage(path) || /^(\/health|\/v2\/health|\/v1\/files)(\/|$)/.test(path) ||
    (openMetrics && path === "/metrics");
  app.use(requireKey(keys, { isOpen }));

  const follow = (job: Job) => {
    counts.follow(job);
    traceJob(job);
  };
  const started = (jobs: number) => counts.started(jobs);
  const jobs = new Jobs({ engine, queue, batching, pictures, log, rate, follow, started, ...results });
  stopping?.addEventListener("abort", () => jobs.cancelAll(stopped), { once: true });
  const facts = { models, whyNoModel: options.whyNoModel, embeddings, weights, publicUrl, open: keys.isEmpty };
  const surface: Surface = { engine, jobs, turns: new Turns(), uploads, writer, remote, ...facts };
  app.route("/generate", generateRoutes(surface));
  app.route("/v1/jobs", jobRoutes(surface));
  const openAi = openAiRoutes(surface);
  app.route("/v1/images", openAi.images);
  app.route("/v1/files", openAi.files);
  app.route("/sdapi/v1", a1111Routes(surface));
  app.route("/controlnet", controlNetRoutes());
  app.route("/v2", kserveRoutes(surface));
  app.route("/", huggingFaceRoutes(surface));
  app.route("/v1/capabilities", capabilityRoutes(surface));
  app.route("/", docsRoutes(surface));
  app.route("/", pageRoutes());

  app.get("/health/live", (c) => c.json({ status: "live" }));
  app.get("/health/ready", (c) => c.json(...readiness(engine, queue)));
  app.get("/health", (c) => {
    const [ready, ...rest] = readiness(engine, queue);
    return c.json({ live: true, ...ready }, ...rest);
  });

  app.get("/metrics", (c) => {
    const { capacity } = queue,
      estimatedMs = queue.length === 0 ? 0 : queue.estimatedMs,
      { rss: residentBytes } = Deno.memoryUsage();
    const { status, memory, faults } = engine, info = "info" in status ? status.info : undefined;
    const ready = readiness(engine, queue)[1] === 200;
    c.header("content-type", "text/plain; version=0.0.4; charset=utf-8");
    const measured = {
      ready,
      queue: { capacity, estimatedMs },
      jobs: jobs.counts,
      info,
      memory,
      faults,
      residentBytes,
    };
    return c.body(metricsOf(measured, counts.families));
  });

  const loaded = () => "info" in engine.status ? engine.status.info.model.name : undefined;
  app.route("/v1/models", modelRoutes({ list: () => models(), loaded, why: options.whyNoModel }));

  app.notFound((c) => {
    const { path, method } = c.req, allowed = methodsAt(app, path);
    const others = "/generate, /v1/jobs, /v1/models, /health, /metrics and /docs";
    c.error = allowed.length > 0
      ? notAllowed(path, method, allowed.join(", "))
      : new Refusal("not_found", `There is nothing at ${path.slice(0, 80)}, ${others} would do`);
    return errorResponse(c.error, shapeOf(path));
  });
  app.onError((error, c) => {
    if (isUnexpected(error) && !c.req.raw.signal.aborted) {
      log.error(`${c.req.method} ${c.req.path} failed: ${error.stack ?? error}`, { request: c.get("requestId") });
    }
    return errorResponse(error, shapeOf(c.req.path));
  });
  return app;
}

/** The methods that a path takes: those whose routes match it, but for middleware, whose patterns end in a star. */
function methodsAt(app: Hono<Env>, path: string): string[] {
  const takes = (method: string) =>
    app.router.match(method, path)[0].some(([[, { path: pattern }]]) => !pattern.endsWith("*"));
  return ["GET", "POST", "DELETE"].filter(takes).flatMap((method) => method === "GET" ? ["GET", "HEAD"] : method);
}

/** How the clients that ask at a path expect errors. */
function shapeOf(path: string): ErrorShape {
  if (/^\/(sdapi|controlnet)(\/|$)/.test(path)) return "a1111";
  if (/^\/v2(\/|$)/.test(path)) return "kserve";
  return /^\/(hf|models)(\/|$)/.test(path) ? "huggingface" : "native";
}

/** What `/health/ready` says, its status, 200 where a picture can be made, and its headers. */
function readiness(engine: Engine, queue: Queue): [Record<string, unknown>, 200 | 503, Record<string, string>] {
  const held = { length: queue.length, capacity: queue.capacity };
  const { status } = engine, soon = { "retry-after": "5" };
  if (status.state === "loading") return [{ status: "loading", queue: held }, 503, soon];
  if (status.state === "failed") return [{ status: "failed", error: status.error.message, queue: held }, 503, {}];
  if (status.state === "recovering") {
    return [{ status: "recovering", error: status.error.message, queue: held }, 503, soon];
  }
  const { info } = status;
  const { memory } = engine, state = memory?.used ? "loaded" : "idle"; // idle: the next job brings its weights back
  const said = { status: queue.draining ? "draining" : "ready", state, ...info, memory, queue: held };
  return [said, queue.draining ? 503 : 200, {}];
}
