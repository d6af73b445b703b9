/** Pictures that a cache may keep: the same address gives the same bytes, so their tag is known before they are made. */
import { createHash } from "node:crypto";
import type { EngineInfo } from "../engine/protocol.ts";
import { version } from "../engine/version.ts";
import { fileFormats } from "./delivery.ts";
import { digestOf } from "./jobs.ts";

/** Fields that change nothing of the bytes. */
const immaterial = ["detach", "timeout_ms", "priority", "keep_alive"];

/**
 * The ETag of the answer to a GET, where it is one for good: its seeds are given, and the answer is a file and no stream of
 * events. It stands for the request, the weights, the programme's version, the adapter with the choice of
 * kernels that was measured for it, and the precision.
 */
export function etagOf(
  fields: ReadonlyMap<string, unknown>,
  { format, weights, info: { adapter, precision, model } }: { format: string; weights: () => string; info: EngineInfo },
): string | undefined {
  const isGiven = (seed: string) => /^\d+$/.test(`${fields.get(seed)}`);
  const isVaried = Number(fields.get("subseed_strength") ?? 0) !== 0;
  if (!isGiven("seed") || isVaried && !isGiven("subseed") || ![...fileFormats, "apng"].includes(format)) {
    return undefined;
  }
  const material = new Map([...fields].filter(([name]) => !immaterial.includes(name)));
  // What is absent stands for the model's defaults.
  const made = [format, weights(), version, adapter, precision, model, digestOf(material)];
  return `"${createHash("sha256").update(JSON.stringify(made)).digest("base64url").slice(0, 32)}"`;
}

/** Whether an If-None-Match header names the tag (RFC 9110, 13.1.2: weak comparison). */
export function matches(ifNoneMatch: string | undefined, etag: string): boolean {
  if (ifNoneMatch === undefined) return false;
  return ifNoneMatch.trim() === "*" || ifNoneMatch.split(",").some((tag) => tag.trim().replace(/^W\//, "") === etag);
}

/** Headers of an answer that never changes; `shared` where caches may give it to others. */
export function cacheHeaders(etag: string, { shared }: { shared: boolean }): Record<string, string> {
  return {
    etag,
    "cache-control": `${shared ? "public" : "private"}, max-age=31536000, immutable`,
    vary: "accept",
  };
}
