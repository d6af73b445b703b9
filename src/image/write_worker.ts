/// <reference lib="deno.worker" />
/** Encodes pictures on a thread of its own, which holds no permission at all. */
import { encodeJpeg } from "./jpeg_encode.ts";
import { decodePng } from "./png.ts";
import type { FromWriter, ToWriter } from "./write.ts";

let wasm: WebAssembly.Module;

self.onmessage = async ({ data: message }: MessageEvent<ToWriter>) => {
  switch (message.type) {
    case "start":
      wasm = message.wasm;
      return;
    case "encode": {
      const { png, quality, comment } = message;
      const jpeg = await encodeJpeg(decodePng(png), { quality, comment, wasm });
      self.postMessage({ jpeg } satisfies FromWriter, [jpeg.buffer]);
      return;
    }
    default:
      message satisfies never;
  }
};
