/** A job's picture as one PNG, streamed by bands, or with chunks that tell of its progress in front. */
import { chunk } from "../../png/chunk.ts";
import { pngHead } from "../../png/encode.ts";
import type { Job } from "../job.ts";
import { resumed } from "./body.ts";

/** The pieces of a picture once the first of them exists, so that what fails before is a status. */
export async function streamPng(job: Job, index = 0): Promise<AsyncGenerator<Uint8Array<ArrayBuffer>, void>> {
  const pieces = job.pictures[index].pieces.from();
  return resumed(await pieces.next(), pieces);
}

/** The whole file of a picture, once it is there. */
export async function wholePng(job: Job, index = 0): Promise<Uint8Array<ArrayBuffer>> {
  const pieces: Uint8Array<ArrayBuffer>[] = [];
  for await (const piece of job.pictures[index].pieces.from()) pieces.push(piece);
  return await new Blob(pieces).bytes();
}

/**
 * The same PNG, begun as soon as the job runs: signature and texts at once, a chunk `prGS` of JSON `{"step","steps"}`
 * for every step, then the rows. The chunk is ancillary, private and safe to copy, so that decoders pass over it.
 */
export async function streamEarlyPng(job: Job): Promise<AsyncGenerator<Uint8Array<ArrayBuffer>, void>> {
  const news = job.news.from();
  for await (const { type } of job.news.from()) if (type === "started" || type === "error") break;
  if (job.error) throw job.error;
  const { width, height } = job.size;
  const { infotext, pieces } = job.pictures[0];
  const head = pngHead({ width, height, text: { parameters: infotext } });
  return early();

  async function* early() {
    yield head;
    // Steps and rows are told in two lists, and every step comes before the rows.
    for await (const event of news) {
      if (event.type === "progress") yield progressChunk(event);
      if (event.type === "progress" && event.step === event.steps) break;
    }
    let first = true;
    for await (const piece of pieces.from()) {
      yield first ? piece.subarray(head.length) : piece;
      first = false;
    }
  }
}

function progressChunk({ step, steps }: { step: number; steps: number }): Uint8Array<ArrayBuffer> {
  return chunk("prGS", new TextEncoder().encode(JSON.stringify({ step, steps })));
}
