/**
 * OpenTelemetry's spans of a job, below its request's: Deno makes those of requests, takes their parents from `traceparent`,
 * and exports all of them where `OTEL_DENO` is set. Else nothing here does anything. What prompts say is in none of ours; Deno's
 * have the address of a request, with the query of a GET, and no way to change that (2.9.6 appends what is set again).
 */
import { context, type Span, SpanStatusCode, trace } from "@opentelemetry/api";
import type { MiddlewareHandler } from "hono";
import { routePath } from "hono/route";
import { pictureCount } from "../engine/tasks.ts";
import { version } from "../engine/version.ts";
import { codeOf } from "./errors.ts";
import type { Job } from "./job.ts";
import type { Env } from "./surface.ts";

/** The span of the request that is being answered, where it is recorded. */
function requestSpan(): Span | undefined {
  const span = trace.getActiveSpan();
  return span?.isRecording() ? span : undefined;
}

/** Gives a request's span its route and id. */
export function traceRequests(): MiddlewareHandler<Env> {
  return async (c, next) => {
    const span = requestSpan();
    if (!span) return await next();
    c.set("traceId", span.spanContext().traceId);
    await next();
    const route = routePath(c);
    span.updateName(`${c.req.method} ${route}`);
    span.setAttributes({ "http.route": route, "sd.request.id": c.get("requestId") });
  };
}

/** Has a job's span and those of its stages made once it is over. To be called while its request is answered. */
export function traceJob(job: Job): void {
  const request = requestSpan();
  if (!request) return;
  request.setAttribute("sd.job.id", job.id);
  const parent = context.active();
  job.over.then(() => {
    const tracer = trace.getTracer("stable-diffusion", version);
    const span = tracer.startSpan("job", { startTime: job.created, attributes: attributesOf(job) }, parent);
    const within = trace.setSpan(parent, span);
    for (const { stage, began, ms, gpuMs } of job.stages) {
      const attributes = gpuMs === undefined ? {} : { "sd.gpu_ms": gpuMs };
      tracer.startSpan(stage, { startTime: began, attributes }, within).end(began + ms);
    }
    if (job.error) span.setStatus({ code: SpanStatusCode.ERROR, message: codeOf(job.error) });
    span.end(job.finished);
  });
}

function attributesOf(job: Job) {
  const { request, size: { width, height }, requestId = "" } = job;
  const { model, steps, sampler, scheduler, seed } = request;
  return {
    "sd.job.id": job.id,
    "sd.job.status": job.status,
    "sd.request.id": requestId,
    "sd.model": model,
    "sd.width": width,
    "sd.height": height,
    "sd.pictures": pictureCount(request),
    "sd.jobs.together": job.together,
    "sd.steps": steps,
    "sd.sampler": sampler,
    "sd.scheduler": scheduler,
    "sd.seed": seed,
  };
}
