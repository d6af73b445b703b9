/** A job's events as a PNG, piece by piece: what the server streams and the command line writes to a file. */
import { encodePng } from "../png/encode.ts";
import type { JobProgress } from "./client.ts";
import { infotextOf } from "./infotext.ts";
import type { EngineInfo } from "./protocol.ts";
import type { GenerateRequest } from "./request.ts";

/**
 * Yields the picture's PNG while its events come in, the first piece with the first rows. `observe` sees every event.
 * Fails as the events fail.
 */
export function encodePicture(
  events: ReadableStream<JobProgress>,
  { request, model, observe = () => {} }: {
    request: GenerateRequest;
    model: EngineInfo["model"];
    observe?: (event: JobProgress) => void;
  },
): AsyncGenerator<Uint8Array<ArrayBuffer>, void> {
  const { width, height } = request;
  const text = { parameters: infotextOf(request, model) };
  return encodePng({ width, height, text }, bandsOf(events, observe));
}

async function* bandsOf(events: ReadableStream<JobProgress>, observe: (event: JobProgress) => void) {
  for await (const event of events) {
    observe(event);
    if (event.type === "rows") yield event.bytes;
  }
}
