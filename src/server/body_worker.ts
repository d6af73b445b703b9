/// <reference lib="deno.worker" />
/** Parses large bodies on a thread of its own, which holds no permission at all. */
import { RequestError } from "../engine/fields.ts";
import { concat } from "../png/chunk.ts";
import { parseBody } from "./body.ts";
import type { FromParser, ToParser } from "./body_protocol.ts";
import { Refusal } from "./refusal.ts";

self.onmessage = ({ data }: MessageEvent<ToParser>) => {
  const answer = parse(data);
  const files = answer.type === "fields" ? [...filesIn(answer.entries)] : [];
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

/** The files in a value, which were parsed into buffers of their own. */
function* filesIn(value: unknown): Generator<Uint8Array<ArrayBuffer>> {
  if (value instanceof Uint8Array) yield value as Uint8Array<ArrayBuffer>;
  else if (typeof value === "object" && value !== null) {
    for (const each of Object.values(value)) yield* filesIn(each);
  }
}
