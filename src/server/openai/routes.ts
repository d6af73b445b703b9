/** `/v1/images`: OpenAI's image endpoints. */
import { type Context, Hono } from "hono";
import { encodeBase64 } from "@std/encoding";
import { bodyOf } from "../answer/body.ts";
import { jobHeaders } from "../answer/headers.ts";
import { fileOf, unbuffered } from "../answer/mod.ts";
import type { Job } from "../job.ts";
import { idempotencyOf } from "../order.ts";
import { type Env, handIn, readyInfo, type Surface } from "../surface.ts";
import { Wire } from "../translate.ts";
import { FileAddresses } from "./files.ts";
import { streamImages } from "./stream.ts";
import { type Endpoint, type OpenAiRequest, translate } from "./translate.ts";

/** The routes below `/v1/images`, and those of the files that their answers name. */
export function openAiRoutes(surface: Surface): { images: Hono<Env>; files: Hono<Env> } {
  const { engine, jobs, uploads, writer, publicUrl } = surface;
  const addresses = new FileAddresses();
  const images = new Hono<Env>();

  for (const endpoint of ["generations", "edits", "variations"] as const) {
    images.post(`/${endpoint}`, (c) => make(c, endpoint));
  }

  async function make(c: Context<Env>, endpoint: Endpoint): Promise<Response> {
    readyInfo(engine); // before a large body is read
    const upload = await uploads.read(c.req.raw);
    const release = () => upload[Symbol.dispose]();
    try {
      const wanted = translate(new Wire(upload.fields), endpoint);
      const { translation } = wanted, info = await translation.info(surface);
      // An address is fetched after its answer.
      const detached = wanted.responseFormat === "url";
      const asked = { detached, idempotency: idempotencyOf(c, upload.fields), release, tag: "openai" };
      const parse = () => translation.parse(surface, info, { grow: upload.grow, signal: c.req.raw.signal });
      const job = await handIn(c, surface, asked, { info, parse });
      const leave = job.watch(c.req.raw.signal);
      const headers = () => jobHeaders(job, info);
      if (wanted.stream) {
        const events = streamImages(job, wanted, { endpoint, describe, writer });
        const response = new Response(bodyOf(events, leave), {
          headers: { "content-type": "text/event-stream", "cache-control": "no-store", ...headers() },
        });
        response.headers.set(...unbuffered);
        return response;
      }
      try {
        await job.over;
        if (job.error) throw job.error;
        const base = publicUrl ?? new URL(c.req.url).origin;
        const data = await Promise.all(job.pictures.map(async (_, index) => {
          const { format, compression: quality } = wanted;
          if (detached) return { url: base + addresses.path({ job: job.id, index, format, quality }) };
          return { b64_json: encodeBase64(await fileOf(job, index, { format, quality, writer })) };
        }));
        return c.json({ created: Math.floor(job.created / 1000), data, ...describe(job, wanted) }, 200, headers());
      } finally {
        leave();
      }
    } catch (error) {
      release();
      throw error;
    }
  }

  const files = new Hono<Env>();
  files.get("/:name", async (c) => {
    const { job: id, index, format, quality } = addresses.read(c.req.param("name"), c.req.query());
    const file = await fileOf(jobs.known(id), index, { format, quality, writer });
    return c.body(file, 200, { "content-type": `image/${format}`, "cache-control": "private, max-age=600" });
  });
  return { images, files };
}

/** What OpenAI's answers say of the pictures. */
function describe({ size: { width, height } }: Job, { format, quality }: OpenAiRequest) {
  return { output_format: format, size: `${width}x${height}`, quality, background: "opaque" };
}
