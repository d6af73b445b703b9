/** `/v1/jobs`: requests that are handed in, looked after and fetched later. */
import { Hono } from "hono";
import { bodyOf } from "./answer/body.ts";
import { headerOf } from "./answer/headers.ts";
import { answerWith, unbuffered } from "./answer/mod.ts";
import { eventAfter, newsEvents } from "./answer/news.ts";
import { fileFormats, takeDelivery } from "./delivery.ts";
import { errorBody } from "./errors.ts";
import { expired, type Job } from "./job.ts";
import { readRequest } from "./order.ts";
import { Refusal } from "./refusal.ts";
import { type Env, handIn, readyInfo, type Surface } from "./surface.ts";

/** The routes below `/v1/jobs`. */
export function jobRoutes(surface: Surface): Hono<Env> {
  const { jobs, engine, writer } = surface;
  const app = new Hono<Env>();

  app.post("/", async (c) => {
    const { info, release, ...request } = await readRequest(c, surface);
    try {
      const job = await handIn(c, surface, { ...request.asked(), detached: true }, { info, parse: request.parse });
      return c.json(viewOf(job), 202, {
        location: linksOf(job).self,
        "x-job-id": job.id,
        "x-seed": `${job.request.seed}`,
        ...(job.ignored.length > 0 && { "x-ignored-fields": headerOf(job.ignored) }),
      });
    } catch (error) {
      release();
      throw error;
    }
  });

  app.get("/:id", (c) => c.json(viewOf(jobs.find(c.req.param("id"), c.get("owner")))));

  app.get("/:id/events", (c) => {
    const job = jobs.find(c.req.param("id"), c.get("owner"));
    return resumeEvents(job, { last: c.req.header("last-event-id"), signal: c.req.raw.signal });
  });

  app.get("/:id/image/:index", async (c) => {
    const job = jobs.find(c.req.param("id"), c.get("owner"));
    const index = Number(c.req.param("index"));
    if (job.pictures[index] === undefined) {
      const count = job.pictures.length;
      const message = `Job ${job.id} has ${count} picture${count > 1 ? "s" : ""}, 0 to ${count - 1} would do`;
      throw new Refusal("not_found", message);
    }
    const fields = new Map<string, unknown>(Object.entries(c.req.query()));
    const { format, quality } = takeDelivery(fields, c.req.header("accept") ?? null);
    const file = fileFormats.find((file) => file === format) ?? "png";
    const options = { signal: c.req.raw.signal, info: readyInfo(engine), writer };
    return await answerWith(job, { format: file, quality, early: false, index }, options);
  });

  app.delete("/:id", (c) => c.json(viewOf(jobs.cancel(c.req.param("id"), c.get("owner"))), 202));

  return app;
}

/** A job's events after the last one that the client has; 204, which tells a browser to stop asking, where none is left. */
export function resumeEvents(job: Job, { last, signal }: { last?: string; signal: AbortSignal }): Response {
  const first = eventAfter(last);
  if (job.expired) throw expired(job);
  if (job.isOver && first >= job.news.items.length) return new Response(null, { status: 204 });
  const leave = job.watch(signal);
  return new Response(bodyOf(newsEvents(job, first), leave), {
    headers: [["content-type", "text/event-stream"], ["cache-control", "no-store"], ["x-job-id", job.id], unbuffered],
  });
}

/** A job as clients see it. */
export function viewOf(job: Job) {
  const { id, request, error } = job;
  // One that is being given up is as good as cancelled: it ends within a step.
  const status = job.signal.aborted && !job.isOver ? "cancelled" : job.status;
  return {
    id,
    status,
    ...(status === "queued" && { position: job.position }),
    created: isoOf(job.created),
    started: isoOf(job.started),
    finished: isoOf(job.finished),
    progress: { step: job.step, steps: job.steps },
    seed: request.seed,
    ...(job.isOver && { timing: job.timing }),
    ...(error && errorBody(error)),
    links: linksOf(job),
  };
}

function linksOf(job: Job) {
  const self = `/v1/jobs/${job.id}`;
  const images = job.expired ? [] : job.pictures.map((_, index) => `${self}/image/${index}`);
  return { self, events: `${self}/events`, images };
}

function isoOf(ms: number | undefined): string | undefined {
  return ms === undefined ? undefined : new Date(ms).toISOString();
}
