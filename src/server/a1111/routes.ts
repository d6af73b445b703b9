/** `/sdapi/v1`: the surface of AUTOMATIC1111's web UI, as its clients call it. */
import { type Context, Hono } from "hono";
import { encodeBase64 } from "@std/encoding";
import { decodeFile, RequestError } from "../../engine/request.ts";
import { readComment } from "../../image/comment.ts";
import { parseInfotext } from "../../png/infotext.ts";
import { readTexts } from "../../png/texts.ts";
import { jobHeaders } from "../answer/headers.ts";
import type { Job } from "../job.ts";
import { idempotencyOf } from "../order.ts";
import { Refusal } from "../refusal.ts";
import { type Env, handIn, readyInfo, type Surface } from "../surface.ts";
import { Translation, Wire } from "../translate.ts";
import {
  deviceMemory,
  embeddings,
  emptyLists,
  latentUpscaleModes,
  models,
  samplers,
  schedulers,
  upscalers,
} from "./lists.ts";
import { progressOf } from "./progress.ts";
import { resultOf } from "./result.ts";
import { Settings } from "./settings.ts";
import { translate } from "./translate.ts";

/** The tag of the jobs that came this way: an interrupt without an id means one of them. */
const tag = "a1111";
/** A1111's `jpeg_quality`. */
const quality = 80;

/** The routes below `/sdapi/v1`. */
export function a1111Routes(surface: Surface): Hono<Env> {
  const { engine, jobs, uploads, writer } = surface;
  const app = new Hono<Env>();
  const settings = new Settings();

  for (const [path, fromImage] of [["/txt2img", false], ["/img2img", true]] as const) {
    app.post(path, async (c) => {
      readyInfo(engine); // before a large body is read
      const upload = await uploads.read(c.req.raw);
      const release = () => upload[Symbol.dispose]();
      try {
        const wanted = translate(new Wire(upload.fields), settings, { fromImage });
        const { translation, taskId } = wanted, info = await translation.info(surface);
        const parse = async () => {
          const parsed = await translation.parse(surface, info, { grow: upload.grow, signal: c.req.raw.signal });
          if (fromImage && !parsed.initImageFile) throw new Refusal("init_image_missing", "Init image not found");
          return parsed;
        };
        // The file is handed on to be decoded, and then it is empty.
        const sent = wanted.includeInitImages ? new Map(structuredClone([...upload.fields])) : upload.fields;
        const asked = { idempotency: idempotencyOf(c, upload.fields), release, tag, taskId };
        const job = await handIn(c, surface, asked, { info, parse });
        if (wanted.keepsOverrides) settings.change(wanted.overrides, { loaded: readyInfo(engine).model.name });
        const leave = job.watch(c.req.raw.signal);
        try {
          await job.over;
          if (job.error && !wasInterrupted(job)) throw job.error;
          const result = await resultOf({ job, wanted, sent, info, writer, quality });
          return c.json(result, 200, jobHeaders(job, info));
        } finally {
          leave();
        }
      } catch (error) {
        release();
        throw error;
      }
    });
  }

  app.get("/progress", (c) => {
    const asked = c.req.query("id");
    const active = activeJobs(c).filter((job) => asked === undefined || isNamed(job, asked));
    const withImage = c.req.query("skip_current_image") !== "true";
    return c.json(progressOf(active, { estimatedMs: jobs.estimatedMs, withImage }));
  });
  app.post("/interrupt", (c) => {
    const asked = c.req.query("id");
    const job = activeJobs(c).filter(({ signal }) => !signal.aborted)
      .find((job) => asked === undefined ? job.status === "running" : isNamed(job, asked));
    if (job) jobs.cancel(job.id, c.get("owner"));
    return c.json({});
  });
  app.post("/skip", (c) => c.json(null));

  app.get("/options", (c) => c.json(settings.list(readyInfo(engine).model.name)));
  app.post("/options", async (c) => {
    using upload = await uploads.read(c.req.raw);
    // The whole object is posted back as it was told, most often with one value changed.
    const wire = new Wire(upload.fields);
    // What no later request could be made with is refused here, not there.
    const trial = new Translation(), changed = settings.with(wire);
    trial.set("prompt", "");
    changed.apply(trial);
    await trial.parse(surface, await trial.info(surface), { grow: upload.grow, signal: c.req.raw.signal });
    settings.change(wire, { loaded: readyInfo(engine).model.name });
    return c.json(null);
  });

  app.get("/samplers", (c) => c.json(samplers()));
  app.get("/schedulers", (c) => c.json(schedulers()));
  app.get("/sd-models", (c) => c.json(models(surface.models())));
  app.get("/upscalers", (c) => c.json(upscalers));
  app.get("/latent-upscale-modes", (c) => c.json(latentUpscaleModes));
  for (const path of emptyLists) app.get(`/${path}`, (c) => c.json([]));
  app.get("/scripts", (c) => c.json({ txt2img: [], img2img: [] }));
  app.get("/embeddings", (c) => c.json(embeddings(surface.embeddings(), readyInfo(engine).model)));
  app.get("/cmd-flags", (c) => c.json({ api: true }));
  app.get("/memory", (c) => {
    const { rss } = Deno.memoryUsage(), { total, free } = Deno.systemMemoryInfo();
    return c.json({ ram: { free, used: rss, total }, cuda: deviceMemory(engine.memory) });
  });
  for (const path of ["checkpoints", "loras", "vae", "embeddings"]) app.post(`/refresh-${path}`, (c) => c.json(null));
  app.post("/unload-checkpoint", async (c) => {
    readyInfo(engine);
    await engine.unload();
    return c.json({});
  });
  app.post("/reload-checkpoint", async (c) => {
    readyInfo(engine);
    await engine.load(settings.model);
    return c.json({});
  });

  app.post("/png-info", async (c) => {
    using upload = await uploads.read(c.req.raw);
    const wire = new Wire(upload.fields);
    const image = wire.any("image");
    const file = typeof image === "string" ? decodeFile(image, "image") : image;
    if (!(file instanceof Uint8Array)) throw new Refusal("init_image_missing", "Image not found");
    const items = readTexts(file), info = readComment(file) ?? items.parameters ?? "";
    return c.json({ info, items, parameters: info === "" ? {} : flatten(parseInfotext(info)) });
  });
  app.post("/extra-single-image", async (c) => {
    using upload = await uploads.read(c.req.raw);
    const wire = new Wire(upload.fields);
    const upscaler = wire.text("upscaler_1") ?? "None", image = wire.any("image");
    if (upscaler !== "None") {
      const message = `Field upscaler_1 is ${JSON.stringify(upscaler.slice(0, 60))}, None would do`;
      throw new RequestError("upscaler_1", message);
    }
    const file = typeof image === "string" ? decodeFile(image, "image") : image;
    if (!(file instanceof Uint8Array)) throw new Refusal("init_image_missing", "Image not found");
    return c.json({ html_info: "", image: encodeBase64(file as Uint8Array<ArrayBuffer>) });
  });

  return app;

  function activeJobs(c: Context<Env>): Job[] {
    return jobs.active(c.get("owner")).filter((job) => job.tag === tag);
  }
}

/** The routes below `/controlnet`, which some clients ask whether it is there. */
export function controlNetRoutes(): Hono<Env> {
  const app = new Hono<Env>();
  app.get("/version", (c) => c.json({ version: 0 }));
  app.get("/model_list", (c) => c.json({ model_list: [] }));
  app.get("/module_list", (c) => c.json({ module_list: [], module_detail: {} }));
  return app;
}

/** Whether a job goes by this id: its own, or the client's `force_task_id`. */
function isNamed(job: Job, id: string): boolean {
  return job.id === id || job.taskId === id;
}

function wasInterrupted({ error }: Job): boolean {
  return error instanceof Refusal && error.code === "job_cancelled";
}

/** An infotext as A1111 answers it: the prompts among the parameters. */
function flatten({ prompt, negativePrompt, parameters }: ReturnType<typeof parseInfotext>) {
  const [, width, height] = /^(\d+)x(\d+)$/.exec(parameters.Size ?? "") ?? [];
  return {
    "Prompt": prompt,
    "Negative prompt": negativePrompt,
    ...parameters,
    ...(width && { "Size-1": width, "Size-2": height }),
  };
}
