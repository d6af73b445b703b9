/** A running job as a response: headers when the first rows exist, then the PNG as its bands arrive. */
import type { JobProgress } from "../engine/client.ts";
import { encodePicture } from "../engine/picture.ts";
import type { EngineInfo } from "../engine/protocol.ts";
import type { GenerateRequest } from "../engine/request.ts";

/** A picture whose first rows exist. */
export interface StartedPicture {
  /** The PNG. An error in the job ends it without its last piece; cancelling it calls `abandon`. */
  body: ReadableStream<Uint8Array<ArrayBuffer>>;
  /** Settles when the job is over, however slowly the body is read: a picture is held in memory, the GPU never. */
  over: Promise<void>;
  truncatedTokens: number;
  /** Milliseconds of what preceded the first rows. */
  timing: Record<string, number>;
}

/** Resolves with the first rows; fails as the job fails before them. */
export async function startPicture(
  events: ReadableStream<JobProgress>,
  { request, model, abandon, stepped = () => {} }: {
    request: GenerateRequest;
    model: EngineInfo["model"];
    abandon: () => void;
    /** Hears of every step, counted from 1. */
    stepped?: (step: number) => void;
  },
): Promise<StartedPicture> {
  const began = performance.now();
  const timing = { prepare: 0, denoise: 0, decode: 0 };
  let truncatedTokens = 0;
  let lastEvent = began;
  const observe = (event: JobProgress) => {
    const now = performance.now();
    if (event.type === "started") truncatedTokens = event.truncatedTokens;
    if (event.type === "step") {
      timing.denoise += event.ms;
      stepped(event.step);
    }
    if (event.type === "step" && event.step === 1) timing.prepare = now - began - event.ms;
    if (event.type === "rows" && event.top === 0) timing.decode = now - lastEvent;
    lastEvent = now;
  };
  const pieces = encodePicture(events, { request, model, observe });
  const first = await pieces.next();

  let reading = true;
  const over = Promise.withResolvers<void>();
  over.promise.catch(() => {}); // the body fails with it
  const body = new ReadableStream<Uint8Array<ArrayBuffer>>({
    async start(controller) {
      try {
        if (first.value) controller.enqueue(first.value);
        for await (const piece of pieces) if (reading) controller.enqueue(piece);
        if (reading) controller.close();
        over.resolve();
      } catch (error) {
        if (reading) controller.error(error);
        over.reject(error);
      }
    },
    cancel() {
      reading = false;
      abandon();
    },
  });
  return { body, over: over.promise, truncatedTokens, timing };
}
