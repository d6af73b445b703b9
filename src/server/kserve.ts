/** `/v2`: the open inference protocol of KServe and Triton, its binary form included. */
import { type Context, Hono } from "hono";
import { encodeBase64 } from "@std/encoding";
import type { EngineInfo } from "../engine/protocol.ts";
import { ConflictError, fileFields, RequestError } from "../engine/request.ts";
import { version } from "../engine/version.ts";
import { concat } from "../png/chunk.ts";
import { jobHeaders } from "./answer/headers.ts";
import { wholePng } from "./answer/png.ts";
import type { Job } from "./job.ts";
import { idempotencyOf } from "./order.ts";
import { Refusal } from "./refusal.ts";
import { readTensors, type Tensor, writeBytes } from "./tensors.ts";
import { type Env, handIn, infoOf, readyInfo, type Surface } from "./surface.ts";
import { Translation } from "./translate.ts";

/** The inputs, each one value and called as the native field is. */
const inputs: Record<string, string> = {
  prompt: "BYTES",
  negative_prompt: "BYTES",
  width: "INT32",
  height: "INT32",
  steps: "INT32",
  cfg_scale: "FP32",
  seed: "INT64",
  sampler: "BYTES",
  scheduler: "BYTES",
  rng: "BYTES",
  eta: "FP32",
  init_image: "BYTES",
  strength: "FP32",
};

/** The routes below `/v2`. */
export function kserveRoutes(surface: Surface): Hono<Env> {
  const { engine, jobs } = surface;
  const app = new Hono<Env>();
  app.get("/", (c) => c.json({ name: "stable-diffusion", version, extensions: ["binary_tensor_data"] }));
  app.get("/health/live", (c) => c.body(null));
  app.get("/health/ready", (c) => {
    readyInfo(engine);
    if (engine.status.state === "recovering") {
      const message = "The GPU failed and is opened anew, a few seconds from now would do";
      throw new Refusal("not_ready", message, { "retry-after": "5" });
    }
    if (jobs.draining) throw new Refusal("not_ready", "The server is stopping, another one would do");
    return c.body(null);
  });
  for (const base of ["/models/:model", "/models/:model/versions/:version"]) {
    app.get(base, async (c) => c.json(metadataOf(await modelOf(c))));
    app.get(`${base}/ready`, async (c) => {
      await modelOf(c);
      return c.body(null);
    });
    app.post(`${base}/infer`, infer);
  }
  return app;

  /** The engine's facts with those of the model that a path names. @throws Refusal or EngineError */
  async function modelOf(c: Context<Env>): Promise<EngineInfo> {
    const model = c.req.param("model") ?? "";
    try {
      return await infoOf(surface, new Map([["model", model]]));
    } catch (error) {
      if (!(error instanceof RequestError) || error instanceof ConflictError) throw error;
      throw new Refusal("model_not_found", error.message);
    }
  }

  async function infer(c: Context<Env>): Promise<Response> {
    const info = await modelOf(c);
    const read = await readTensors(c.req.raw, surface.uploads);
    const release = () => read[Symbol.dispose]();
    try {
      const translation = translate(read.inputs);
      translation.set("model", info.model.name);
      const asked = { idempotency: idempotencyOf(c, translation.fields), release, tag: "kserve" };
      const parse = () => translation.parse(surface, info, { grow: read.grow, signal: c.req.raw.signal });
      const job = await handIn(c, surface, asked, { info, parse });
      const leave = job.watch(c.req.raw.signal);
      try {
        await job.over;
        if (job.error) throw job.error;
        return await answer(job, info, read);
      } finally {
        leave();
      }
    } catch (error) {
      release();
      throw error;
    }
  }
}

/** The pictures as PNG in the output `image`: base64 in JSON, or behind it where the client wants that. */
async function answer(job: Job, info: EngineInfo, { id, binary }: { id?: string; binary: boolean }) {
  const files = await Promise.all(job.pictures.map((_, index) => wholePng(job, index)));
  const tail = binary ? writeBytes(files) : new Uint8Array();
  const content = binary
    ? { parameters: { binary_data_size: tail.length } }
    : { data: files.map((file) => encodeBase64(file)) };
  const image = { name: "image", datatype: "BYTES", shape: [files.length], ...content };
  const body = new TextEncoder().encode(
    JSON.stringify({ model_name: info.model.name, model_version: "1", id, outputs: [image] }),
  );
  return new Response(concat([body, tail]), {
    headers: {
      ...jobHeaders(job, info),
      "content-type": binary ? "application/octet-stream" : "application/json",
      ...(binary && { "inference-header-content-length": `${body.length}` }),
    },
  });
}

function metadataOf({ model: { name } }: EngineInfo) {
  return {
    name,
    versions: ["1"],
    platform: "webgpu",
    inputs: Object.entries(inputs).map(([name, datatype]) => ({ name, datatype, shape: [1] })),
    outputs: [{ name: "image", datatype: "BYTES", shape: [-1] }],
  };
}

/** @throws RequestError where an input holds another number of values than one */
function translate(tensors: Tensor[]): Translation {
  const into = new Translation();
  for (const { name, values } of tensors) {
    if (!Object.hasOwn(inputs, name)) {
      into.ignored.push(name);
      continue;
    }
    if (values.length !== 1) throw new RequestError(name, `Input ${name} has ${values.length} values, one would do`);
    into.set(name, textOf(name, values[0]));
  }
  return into;
}

/** Bytes are text everywhere but in a picture. */
function textOf(name: string, value: unknown): unknown {
  return value instanceof Uint8Array && !fileFields.some((file) => file === name)
    ? new TextDecoder().decode(value)
    : value;
}
