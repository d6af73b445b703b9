/** A job as an answer of any kind. */
import { encodeBase64 } from "@std/encoding";
import type { EngineInfo } from "../../engine/protocol.ts";
import type { PictureWriter } from "../../image/write.ts";
import { type Delivery, type FileFormat, mediaTypes } from "../delivery.ts";
import type { Job } from "../job.ts";
import { streamApng } from "./apng.ts";
import { bodyOf } from "./body.ts";
import { jobHeaders } from "./headers.ts";
import { newsEvents, newsLines } from "./news.ts";
import { partsType, streamParts } from "./parts.ts";
import { streamEarlyPng, streamPng, wholePng } from "./png.ts";

/** Tells nginx to pass on every piece as it comes; what a cache is to keep must not have it. */
export const unbuffered: [name: string, value: string] = ["x-accel-buffering", "no"];

/** What is wanted of a job: `index` is the picture's, where the format holds one. */
export interface Wanted extends Pick<Delivery, "format" | "early" | "quality"> {
  index?: number;
  /** How many previews there will be. */
  previews?: number;
}

export interface AnswerOptions {
  /** The client: it counts as one that waits for the job until it has the answer or is gone. */
  signal: AbortSignal;
  info: EngineInfo;
  writer: PictureWriter;
  /** Further headers. */
  headers?: Record<string, string>;
}

/**
 * The answer in the format asked for, once its first bytes exist. Fails as the job fails before them, and when the client
 * leaves.
 */
export async function answerWith(
  job: Job,
  { format, early, quality, index = 0, previews = 0 }: Wanted,
  { signal, info, writer, headers = {} }: AnswerOptions,
): Promise<Response> {
  const leave = job.watch(signal);
  const answer = (body: BodyInit, type: string) =>
    new Response(body, { headers: { "content-type": type, ...jobHeaders(job, info), ...headers } });
  const stream = (pieces: AsyncGenerator<Uint8Array<ArrayBuffer>, void>, type: string) =>
    answer(bodyOf(pieces, leave), type);
  const live = (pieces: AsyncGenerator<Uint8Array<ArrayBuffer>, void>, type: string) => {
    const response = stream(pieces, type);
    response.headers.set(...unbuffered);
    return response;
  };
  let streams = true;
  try {
    switch (format) {
      case "png":
        return stream(await (early ? streamEarlyPng(job) : streamPng(job, index)), "image/png");
      case "apng":
        return stream(await streamApng(job, { previews }), "image/apng");
      case "sse":
        return live(newsEvents(job), "text/event-stream");
      case "ndjson":
        return live(newsLines(job), "application/x-ndjson");
      case "multipart":
        return live(await streamParts(job), partsType);
      case "jpeg":
      case "webp":
        streams = false;
        return answer(await fileOf(job, index, { format, quality, writer }), mediaTypes[format]);
      case "json":
        streams = false;
        return answer(JSON.stringify(await wholeAnswer(job)), "application/json");
      default:
        return format satisfies never;
    }
  } catch (error) {
    streams = false;
    throw error;
  } finally {
    if (!streams) leave();
  }
}

/** A picture in a format of one file, whole. */
export async function fileOf(
  job: Job,
  index: number,
  { format, quality, writer }: { format: FileFormat; quality: number; writer: PictureWriter },
): Promise<Uint8Array<ArrayBuffer>> {
  const { infotext: comment } = job.pictures[index], png = await wholePng(job, index);
  return format === "png" ? png : await writer.write(png, { format, quality, comment });
}

/** Everything of a job at once: `{id, images, info, timing}`. */
async function wholeAnswer(job: Job) {
  const images = await Promise.all(job.pictures.map((_, index) => wholePng(job, index)));
  const done = job.over.then(() => job.news.items.findLast((news) => news.type === "done"));
  const { request: { steps }, size: { width, height } } = job, seeds = job.pictures.map(({ seed }) => seed);
  return {
    id: job.id,
    images: images.map((image) => encodeBase64(image)),
    info: { seeds, width, height, steps, infotexts: job.pictures.map(({ infotext }) => infotext) },
    timing: (await done)?.timing ?? job.timing,
  };
}
