/** A job's events as PNG files, for whoever has no use for a stream: the command line. */
import { concat } from "../png/chunk.ts";
import { encodePng } from "../png/encode.ts";
import type { JobProgress } from "./client.ts";
import { infotextOf } from "./infotext.ts";
import type { EngineInfo } from "./protocol.ts";
import type { GenerateRequest } from "./request.ts";
import { eachPicture, outputSize } from "./tasks.ts";

/**
 * Yields each picture's PNG once it is whole, with the request that makes it alone. `observe` sees every event. Fails as
 * the events fail.
 */
export async function* encodePictures(
  events: ReadableStream<JobProgress>,
  { request, model, observe = () => {} }: {
    request: GenerateRequest;
    model: EngineInfo["model"];
    observe?: (event: JobProgress) => void;
  },
): AsyncGenerator<{ request: GenerateRequest; png: Uint8Array<ArrayBuffer> }, void> {
  const bands = bandsOf(events, observe), { width, height } = outputSize(request);
  for (const one of eachPicture(request)) {
    const text = { parameters: infotextOf(one, model) };
    yield { request: one, png: concat(await Array.fromAsync(encodePng({ width, height, text }, picture(height)))) };
  }
  for await (const { top } of bands) throw new RangeError(`The engine sent rows from ${top} on after the last picture`);

  /** The bands of the next picture, of so many rows. */
  async function* picture(height: number): AsyncGenerator<Uint8Array> {
    for (let next = 0; next < height;) {
      const { done, value } = await bands.next();
      if (done) return;
      yield value.bytes;
      next = value.top + value.rows;
    }
  }
}

async function* bandsOf(events: ReadableStream<JobProgress>, observe: (event: JobProgress) => void) {
  for await (const event of events) {
    observe(event);
    if (event.type === "rows") yield event;
  }
}
