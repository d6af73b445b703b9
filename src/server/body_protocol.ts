/** The messages between the reader of uploads and the Worker that parses large bodies. */
import type { Entry } from "./body.ts";
import type { RefusalCode } from "./refusal.ts";

export interface ToParser {
  /** The body as it came. */
  pieces: Uint8Array<ArrayBuffer>[];
  /** The content-type as it was sent. */
  type: string;
}

/** One answer to each body, in order. */
export type FromParser =
  | { type: "fields"; entries: Entry[] }
  | { type: "refused"; code: RefusalCode; message: string }
  /** A field that will not do. */
  | { type: "wrong"; field: string; message: string };
