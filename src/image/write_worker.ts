/// <reference lib="deno.worker" />
/** Encodes pictures on a thread of its own, which holds no permission at all. */
import { encodeJpeg } from "./jpeg_encode.ts";
import { decodePng } from "./png.ts";
import type { Codecs } from "./protocol.ts";
import { encodeWebp } from "./webp_encode.ts";
import type { FromWriter, ToWriter } from "./write.ts";

const encoders = { jpeg: encodeJpeg, webp: encodeWebp };
let codecs: Codecs;

self.onmessage = async ({ data: message }: MessageEvent<ToWriter>) => {
  switch (message.type) {
    case "start":
      codecs = message.codecs;
      return;
    case "encode": {
      const { png, how: { format, ...how } } = message;
      const file = await encoders[format](decodePng(png), { ...how, wasm: codecs[format] });
      self.postMessage({ file } satisfies FromWriter, [file.buffer]);
      return;
    }
    default:
      message satisfies never;
  }
};
