/** A line of the log for every request, once the last byte of its answer is sent or its client is gone. */
import type { Context, MiddlewareHandler } from "hono";
import { routePath } from "hono/route";
import { pictureCount } from "../engine/tasks.ts";
import { type BodyEnd, PiecesBody } from "./answer/body.ts";
import { codeOf } from "./errors.ts";
import type { Job } from "./job.ts";
import type { Facts, Log, LogLevel } from "./log.ts";
import type { Env } from "./surface.ts";

/** Stands for the status where the client left before it had its answer: nobody has received one. */
const clientLeft = 499;
const methods = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

/** A request and what became of it. */
export interface Answered {
  /** One of those that are known, else OTHER. */
  method: string;
  /** The pattern that its path matched, "none" where there was none. */
  route: string;
  status: number;
  /** From the head of the request to the last byte of the answer. */
  ms: number;
  /** Why it failed. */
  code?: string;
  /** The job that it handed in. */
  job?: Job;
}

/** Tells `told` of every request; nothing waits for that. The body that HEAD does not send is given up. */
export function observeRequests(told: (c: Context<Env>, answered: Answered) => void): MiddlewareHandler<Env> {
  return async (c, next) => {
    const began = performance.now();
    await next();
    const { body } = c.res, route = routePath(c);
    const answered = (end: BodyEnd) =>
      told(c, { ...outcomeOf(c, end, route), route: nameOf(route), ms: performance.now() - began });
    if (c.req.raw.method === "HEAD") { // Hono answers with the head of what GET does, and leaves its body unread
      await body?.cancel();
      answered({ how: "sent" });
    } else if (body instanceof PiecesBody) body.ended.then(answered);
    else answered({ how: "sent" });
  };
}

/** Routes that are asked all the time how things are. */
const probed = /^\/(health|metrics|v2\/health|v2\/models\/.+\/ready$)/;

function isProbe({ method, route }: Pick<Answered, "method" | "route">): boolean {
  return (method === "GET" || method === "HEAD") && probed.test(route);
}

function outcomeOf(c: Context<Env>, end: BodyEnd, route: string): Pick<Answered, "method" | "status" | "code" | "job"> {
  const { method } = c.req, job = c.get("job");
  // That nothing can be made at the moment is what a probe asks for, and no failure of its own.
  const told = isProbe({ method, route }) && c.res.status === 503 ? undefined : c.error;
  const error = told ?? (end.how === "failed" ? end.error : job?.error);
  return {
    method: methods.includes(method) ? method : "OTHER",
    status: end.how === "left" ? clientLeft : c.res.status,
    code: end.how === "left" ? "client_left" : error === undefined ? undefined : codeOf(error),
    job,
  };
}

/** Only middleware has patterns that end with a star. */
function nameOf(route: string): string {
  return route.endsWith("*") ? "none" : route;
}

/** Writes a request down. What asks for health or numbers all the time is `debug`; what failed here a warning. */
export function logRequest(
  log: Log,
  c: Context<Env>,
  { method, route, status, ms, code, job }: Answered,
  { prompts }: { prompts: boolean },
): void {
  const level: LogLevel = isProbe({ method, route }) && code === undefined ? "debug" : status >= 500 ? "warn" : "info";
  log.write(level, "Answered", {
    method,
    path: c.req.path.slice(0, 200),
    status,
    ms: tenths(ms),
    code,
    request: c.get("requestId"),
    trace: c.get("traceId"),
    owner: c.get("owner"),
    ...job && factsOf(job, { prompts }),
  });
}

/** What there is to know of a job; what it shows only where that is asked for. */
function factsOf(job: Job, { prompts }: { prompts: boolean }): Facts {
  const { request, size: { width, height }, timing } = job;
  const { model, steps, sampler, seed, prompt, negativePrompt } = request;
  return {
    job: job.id,
    model,
    size: `${width}x${height}`,
    pictures: pictureCount(request),
    steps,
    sampler,
    seed,
    queue_ms: timing.queue === undefined ? undefined : tenths(timing.queue),
    ...prompts && { prompt, negative_prompt: negativePrompt },
  };
}

function tenths(ms: number): number {
  return Math.round(10 * ms) / 10;
}
