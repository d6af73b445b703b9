/// <reference lib="deno.worker" />
/** Decodes strangers' files on a thread of its own, which holds no permission at all. */
import { decodePicture } from "./decode.ts";
import { PictureError } from "./picture.ts";
import type { FromDecoder, ToDecoder } from "./protocol.ts";
import { resize } from "./resize.ts";

let wasm: WebAssembly.Module;

self.onmessage = async ({ data: message }: MessageEvent<ToDecoder>) => {
  switch (message.type) {
    case "start":
      wasm = message.wasm;
      return;
    case "decode": {
      const answer = await decode(message);
      self.postMessage(answer, answer.type === "picture" ? [answer.pixels.buffer] : []);
      return;
    }
    default:
      message satisfies never;
  }
};

async function decode({ file, width, height }: Extract<ToDecoder, { type: "decode" }>): Promise<FromDecoder> {
  try {
    const picture = resize(await decodePicture(file, wasm), { width, height });
    return { type: "picture", pixels: picture.pixels };
  } catch (error) {
    if (error instanceof PictureError) return { type: "refused", refusal: error.refusal, message: error.message };
    throw error;
  }
}
