/// <reference lib="deno.worker" />
/** Parses large bodies on a thread of its own, which holds no permission at all. */
import { RequestError } from "../engine/fields.ts";
import { concat } from "../png/chunk.ts";
import { parseBody } from "./body.ts";
import type { FromParser, ToParser } from "./body_protocol.ts";
import { Refusal } from "./refusal.ts";

self.onmessage = ({ data }: MessageEvent<ToParser>) => {
  const answer = parse(data);
  const files = answer.type === "fields" ? answer.entries.map(([, value]) => value).filter(isFile) : [];
  self.postMessage(answer, files.map(({ buffer }) => buffer));
};

function parse({ pieces, type }: ToParser): FromParser {
  try {
    return { type: "fields", entries: parseBody(concat(pieces), type) };
  } catch (error) {
    if (error instanceof Refusal) return { type: "refused", code: error.code, message: error.message };
    if (error instanceof RequestError) return { type: "wrong", field: error.field, message: error.message };
    throw error;
  }
}

/** Files are parsed into buffers of their own. */
function isFile(value: unknown): value is Uint8Array<ArrayBuffer> {
  return value instanceof Uint8Array;
}
