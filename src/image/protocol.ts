/** The messages between the reader of pictures and the Worker that decodes them. */
import type { PictureField, Refusal } from "./picture.ts";
import type { Preparation, Prepared } from "./prepare.ts";

/** A codec for each format that is not decoded, or encoded, here. */
export interface Codecs {
  jpeg: WebAssembly.Module;
  webp: WebAssembly.Module;
}

/** The first message carries the codecs, every later one a picture, perhaps its mask, and what is wanted of them. */
export type ToDecoder =
  | { type: "start"; codecs: Codecs }
  | { type: "prepare"; picture: Uint8Array<ArrayBuffer>; mask?: Uint8Array<ArrayBuffer>; how: Preparation };

/** One answer to each `prepare`, in order. */
export type FromDecoder =
  | { type: "prepared"; prepared: Prepared }
  | { type: "refused"; refusal: Refusal; message: string; field: PictureField };
