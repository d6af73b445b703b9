/** A job's news as objects of JSON, in events (SSE) or one a line. */
import { encodeBase64 } from "@std/encoding";
import { errorBody } from "../errors.ts";
import type { Job, JobNews } from "../job.ts";
import { wholePng } from "./png.ts";

/** A job's news as a client reads it. */
async function wireOf(job: Job, news: JobNews): Promise<Record<string, unknown>> {
  switch (news.type) {
    case "queued":
      return { id: job.id, position: news.position };
    case "started":
      return { queue_ms: news.queueMs, truncated_tokens: news.truncatedTokens };
    case "progress":
      return { step: news.step, steps: news.steps, ms: news.ms };
    case "preview":
      return { index: news.index, step: news.step, b64: encodeBase64(news.png) };
    case "image": {
      const { seed, infotext } = job.pictures[news.index];
      return { index: news.index, b64: encodeBase64(await wholePng(job, news.index)), seed, infotext };
    }
    case "done":
      return { timing: news.timing };
    case "error":
      return errorBody(news.error);
    default:
      return news satisfies never;
  }
}

/** Each of a job's news as a line `{"type":…,…}`. */
export async function* newsLines(job: Job): AsyncGenerator<Uint8Array<ArrayBuffer>, void> {
  for await (const news of job.news.from()) {
    yield encode(`${JSON.stringify({ type: news.type, ...await wireOf(job, news) })}\n`);
  }
}

/**
 * A job's news as server-sent events, from the `first` on. An event's id is `JOB:NUMBER`, so that a browser that
 * connects again asks for what it has not seen yet. A comment keeps a stream alive that has been silent for a while.
 */
export async function* newsEvents(
  job: Job,
  first = 0,
  { heartbeatMs = 15_000 } = {},
): AsyncGenerator<Uint8Array<ArrayBuffer>, void> {
  const news = job.news.from(first);
  for (let number = first, next = news.next();;) {
    const result = await within(heartbeatMs, next);
    if (result === "late") {
      yield encode(": still here\n\n");
      continue;
    }
    if (result.done) return;
    const data = JSON.stringify(await wireOf(job, result.value));
    yield encode(`id: ${job.id}:${number++}\nevent: ${result.value.type}\ndata: ${data}\n\n`);
    next = news.next();
  }
}

/** Which event comes after the one of that id: 0 without one. */
export function eventAfter(lastEventId: string | undefined): number {
  const found = /(?:^|:)(\d{1,9})$/.exec(lastEventId ?? "");
  return found ? Number(found[1]) + 1 : 0;
}

/** What `promise` resolves with, or "late". */
async function within<T>(ms: number, promise: Promise<T>): Promise<T | "late"> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<"late">((resolve) => timer = setTimeout(() => resolve("late"), ms));
  return await Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

function encode(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(text);
}
