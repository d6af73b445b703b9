/** Pictures as OpenAI streams them: early views as they come, then each picture whole. */
import { encodeBase64 } from "@std/encoding";
import type { PictureWriter } from "../../image/write.ts";
import { withHeartbeats } from "../answer/heartbeat.ts";
import { fileOf } from "../answer/mod.ts";
import { errorBody } from "../errors.ts";
import type { Job } from "../job.ts";
import type { Endpoint, OpenAiRequest } from "./translate.ts";

/** Nothing is counted here: the numbers are there because clients add them up. */
const usage = {
  input_tokens: 0,
  output_tokens: 0,
  total_tokens: 0,
  input_tokens_details: { text_tokens: 0, image_tokens: 0 },
};

interface StreamOptions {
  endpoint: Endpoint;
  describe: (job: Job, wanted: OpenAiRequest) => Record<string, unknown>;
  writer: PictureWriter;
  /** After how much silence a comment is sent. */
  heartbeatMs?: number;
}

/** The events of a job; an error is the last of them. */
export function streamImages(
  job: Job,
  wanted: OpenAiRequest,
  { heartbeatMs, ...options }: StreamOptions,
): AsyncGenerator<Uint8Array<ArrayBuffer>, void> {
  return withHeartbeats(eventsOf(job, wanted, options), { heartbeatMs });
}

async function* eventsOf(
  job: Job,
  wanted: OpenAiRequest,
  { endpoint, describe, writer }: StreamOptions,
): AsyncGenerator<Uint8Array<ArrayBuffer>, void> {
  const prefix = endpoint === "edits" ? "image_edit" : "image_generation";
  const created_at = Math.floor(job.created / 1000);
  let partials = 0;
  for await (const news of job.news.from()) {
    switch (news.type) {
      case "preview":
        yield frame(`${prefix}.partial_image`, {
          b64_json: encodeBase64(news.png),
          partial_image_index: partials++,
          created_at,
          ...describe(job, { ...wanted, format: "png" }),
        });
        break;
      case "image": {
        const { format, compression: quality } = wanted;
        const b64_json = encodeBase64(await fileOf(job, news.index, { format, quality, writer }));
        yield frame(`${prefix}.completed`, { b64_json, created_at, ...describe(job, wanted), usage });
        break;
      }
      case "error":
        yield frame("error", errorBody(news.error));
        break;
    }
  }
}

function frame(type: string, data: Record<string, unknown>): Uint8Array<ArrayBuffer> {
  const typed = type === "error" ? data : { type, ...data };
  return new TextEncoder().encode(`event: ${type}\ndata: ${JSON.stringify(typed)}\n\n`);
}
