/** A job's news as objects of JSON, in events (SSE) or one a line. */
import { encodeBase64 } from "@std/encoding";
import { errorBody } from "../errors.ts";
import type { Job, JobNews } from "../job.ts";
import { withHeartbeats } from "./heartbeat.ts";
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
 * connects again asks for what it has not seen yet.
 */
export function newsEvents(
  job: Job,
  first = 0,
  timing?: { heartbeatMs: number },
): AsyncGenerator<Uint8Array<ArrayBuffer>, void> {
  return withHeartbeats(eventsFrom(job, first), timing);
}

async function* eventsFrom(job: Job, first: number): AsyncGenerator<Uint8Array<ArrayBuffer>, void> {
  let number = first;
  for await (const news of job.news.from(first)) {
    const data = JSON.stringify(await wireOf(job, news));
    yield encode(`id: ${job.id}:${number++}\nevent: ${news.type}\ndata: ${data}\n\n`);
  }
}

/** Which event comes after the one of that id: 0 without one. */
export function eventAfter(lastEventId: string | undefined): number {
  const found = /(?:^|:)(\d{1,9})$/.exec(lastEventId ?? "");
  return found ? Number(found[1]) + 1 : 0;
}

function encode(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(text);
}
