/** The facts of a job in an answer's headers. */
import type { EngineInfo } from "../../engine/protocol.ts";
import type { Job } from "../job.ts";

/** What is known of the job now: of one that has not run, neither times nor tokens. */
export function jobHeaders(job: Job, info: EngineInfo) {
  const { timing, ignored } = job;
  const headers: Record<string, string> = {
    "x-job-id": job.id,
    "x-seed": `${job.request.seed}`,
    "x-adapter": adapterOf(info),
  };
  if (timing.queue !== undefined) {
    headers["x-queue-ms"] = timing.queue.toFixed(0);
    headers["x-truncated-tokens"] = `${job.truncatedTokens}`;
    headers["server-timing"] = Object.entries(timing).map(([name, ms]) => `${name};dur=${ms.toFixed(1)}`).join(", ");
  }
  if (ignored.length > 0) headers["x-ignored-fields"] = headerOf(ignored);
  return headers;
}

/** "NVIDIA H100", or "llvmpipe (software)"; a header cannot hold more than Latin-1. */
function adapterOf({ adapter: { name, software } }: EngineInfo): string {
  return `${name.replace(/[^\x20-\x7e]/g, "?")}${software ? " (software)" : ""}`;
}

/** Names that clients made up, safe in a header and of bounded length. */
export function headerOf(names: readonly string[]): string {
  return names.slice(0, 20).map((name) => encodeURIComponent(name.toWellFormed().slice(0, 40))).join(", ");
}
