/// <reference lib="deno.worker" />
/** Decodes strangers' files on a thread of its own, which holds no permission at all. */
import { decodePicture } from "./decode.ts";
import { PictureError, type PictureField, type PictureWithAlpha } from "./picture.ts";
import { prepare } from "./prepare.ts";
import type { Codecs, FromDecoder, ToDecoder } from "./protocol.ts";

let codecs: Codecs;

self.onmessage = async ({ data: message }: MessageEvent<ToDecoder>) => {
  switch (message.type) {
    case "start":
      codecs = message.codecs;
      return;
    case "prepare": {
      const answer = await run(message);
      self.postMessage(answer, answer.type === "prepared" ? buffersOf(answer) : []);
      return;
    }
    default:
      message satisfies never;
  }
};

async function run({ picture, mask, how }: Extract<ToDecoder, { type: "prepare" }>): Promise<FromDecoder> {
  try {
    const source = await decode(picture, "init_image"), sourceMask = mask && await decode(mask, "mask");
    return { type: "prepared", prepared: prepare(source, sourceMask, how) };
  } catch (error) {
    if (!(error instanceof PictureError)) throw error;
    const { refusal, message, field } = error;
    return { type: "refused", refusal, message, field };
  }
}

async function decode(file: Uint8Array, field: PictureField): Promise<PictureWithAlpha> {
  try {
    return await decodePicture(file, codecs);
  } catch (error) {
    throw error instanceof PictureError ? new PictureError(error.refusal, error.message, field) : error;
  }
}

/** Everything that can be handed over instead of copied, each once. */
function buffersOf(
  { prepared: { picture, mask, overlay } }: Extract<FromDecoder, { type: "prepared" }>,
): ArrayBuffer[] {
  const arrays = [picture.pixels, mask?.levels, overlay?.picture.pixels, overlay?.mask.levels];
  return [...new Set(arrays.flatMap((array) => array ? [array.buffer] : []))];
}
