/** `/generate`: a request in, its picture out, in any of the formats. */
import { type Context, Hono } from "hono";
import { fileFields, isAddress } from "../engine/request.ts";
import { pictureCount, type Tasks } from "../engine/tasks.ts";
import { answerWith } from "./answer/mod.ts";
import { checkCount, previewsIn } from "./delivery.ts";
import { cacheHeaders, etagOf, matches } from "./etag.ts";
import { resumeEvents } from "./job_routes.ts";
import { readRequest } from "./order.ts";
import { type Env, handIn, notAllowed, type Surface, weightsOf } from "./surface.ts";

/** The route of `/generate`. */
export function generateRoutes(surface: Surface): Hono<Env> {
  const { writer } = surface;
  const app = new Hono<Env>();
  app.on(["GET", "POST"], "/", async (c) => {
    // Hono answers HEAD as it answers GET; a picture nobody receives is not worth its time.
    if (c.req.raw.method === "HEAD") throw notAllowed(c.req.path, "HEAD", "GET, POST");
    const { delivery, info, fields, release, ...request } = await readRequest(c, surface);
    try {
      const resumed = delivery.format === "sse" ? eventsOfBefore(c, surface) : undefined;
      if (resumed) {
        release();
        return resumed;
      }
      const order = request.asked(), check = (one: Tasks) => checkCount(pictureCount(one), delivery);
      const parse = async () => {
        const parsed = await request.parse();
        check(parsed.request);
        return parsed;
      };
      // What is at an address may be another picture tomorrow.
      const etag = c.req.method === "GET" && !fileFields.some((name) => isAddress(`${fields.get(name)}`))
        ? etagOf(fields, { ...delivery, weights: () => weightsOf(surface, info.model.name), info })
        : undefined;
      const headers = etag ? cacheHeaders(etag, { shared: surface.open }) : { "cache-control": "no-store" };
      if (etag && matches(c.req.header("if-none-match"), etag)) {
        await parse(); // "*" is any tag, and what will not do is refused all the same
        release();
        return new Response(null, { status: 304, headers });
      }
      const job = await handIn(c, surface, order, { info, parse });
      check(job.request); // which may have been ordered in another format
      const wanted = { ...delivery, previews: previewsIn(fields) };
      return await answerWith(job, wanted, { signal: c.req.raw.signal, info, writer, headers });
    } catch (error) {
      release();
      throw error;
    }
  });
  app.all("/", (c) => {
    throw notAllowed(c.req.path, c.req.method, "GET, POST");
  });
  return app;
}

/** The events that a browser has missed when it connects again: it repeats its request and names the last event. */
function eventsOfBefore(c: Context<Env>, { jobs }: Surface): Response | undefined {
  const last = c.req.header("last-event-id");
  const id = last?.replace(/:\d+$/, "");
  const job = id ? jobs.has(id, c.get("owner")) : undefined;
  // One that nobody waited for any more has nothing left to tell; 204 makes the browser stop asking.
  if (job?.expired) return new Response(null, { status: 204 });
  return job && resumeEvents(job, { last, signal: c.req.raw.signal });
}
