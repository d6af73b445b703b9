/** The messages between the reader of pictures and the Worker that decodes them. */
import type { Refusal } from "./picture.ts";

/** The first message carries the JPEG codec, every later one a file and the size it is wanted in. */
export type ToDecoder =
  | { type: "start"; wasm: WebAssembly.Module }
  | { type: "decode"; file: Uint8Array<ArrayBuffer>; width: number; height: number };

/** One answer to each `decode`, in order. */
export type FromDecoder =
  | { type: "picture"; pixels: Uint8Array<ArrayBuffer> }
  | { type: "refused"; refusal: Refusal; message: string };
