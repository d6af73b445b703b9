/** `/hf` and `/models/NAME`: Hugging Face's inference API for text-to-image and image-to-image. */
import { type Context, Hono } from "hono";
import { answerWith } from "./answer/mod.ts";
import { fileFormats, formatOf } from "./delivery.ts";
import { idempotencyOf } from "./order.ts";
import { type Env, handIn, readyInfo, type Surface } from "./surface.ts";
import { Translation, Wire } from "./translate.ts";

/** Native fields by the parameters that stand for them. */
const parameterFields: [parameter: string, field: string][] = [
  ["negative_prompt", "negative_prompt"],
  ["width", "width"],
  ["height", "height"],
  ["num_inference_steps", "steps"],
  ["guidance_scale", "cfg_scale"],
  ["scheduler", "sampler"], // there, a scheduler is what is called a sampler here
  ["seed", "seed"],
  ["strength", "strength"],
];

/** The routes of this surface. */
export function huggingFaceRoutes(surface: Surface): Hono<Env> {
  const { engine, uploads, writer } = surface;
  const app = new Hono<Env>();
  app.post("/hf", (c) => make(c));
  // A model's name there may have its owner's in front.
  app.post("/models/:name{.+}", (c) => make(c, c.req.param("name")));
  return app;

  async function make(c: Context<Env>, model?: string): Promise<Response> {
    readyInfo(engine); // before a large body is read
    // Its own client sends a picture alone without a type.
    const isPicture = /^(image\/|application\/octet-stream|$)/i.test(c.req.header("content-type") ?? "");
    const upload = isPicture ? await readPicture(c.req.raw) : await uploads.read(c.req.raw);
    const release = () => upload[Symbol.dispose]();
    try {
      const translation = translate(new Wire(upload.fields));
      translation.set("model", model);
      const info = await translation.info(surface);
      const asked = { idempotency: idempotencyOf(c, upload.fields), release, tag: "huggingface" };
      const parse = () => translation.parse(surface, info, { grow: upload.grow, signal: c.req.raw.signal });
      const job = await handIn(c, surface, asked, { info, parse });
      const accepted = formatOf(c.req.header("accept") ?? null);
      const format = fileFormats.find((format) => format === accepted) ?? "png";
      const options = { signal: c.req.raw.signal, info, writer };
      return await answerWith(job, { format, early: false, quality: 90 }, options);
    } catch (error) {
      release();
      throw error;
    }
  }

  /** A body that is nothing but the picture to start from. */
  async function readPicture(request: Request) {
    const upload = await uploads.readBytes(request);
    return {
      fields: new Map<string, unknown>([["inputs", upload.bytes]]),
      grow: upload.grow,
      [Symbol.dispose]: () => upload[Symbol.dispose](),
    };
  }
}

/** How base64 of a PNG, JPEG or WebP begins, or a data URL or address of any picture. */
const pictureText = /^(data:image\/|https?:\/\/|iVBORw0KGgo|\/9j\/|UklGR)/;

function translate(wire: Wire): Translation {
  const into = new Translation();
  const parameters = wire.object("parameters");
  const inputs = wire.any("inputs"), prompt = parameters.text("prompt");
  const fromPicture = inputs instanceof Uint8Array || prompt !== undefined || pictureText.test(`${inputs}`);
  if (fromPicture) into.set("init_image", inputs, "inputs");
  into.set("prompt", fromPicture ? prompt ?? "" : inputs, fromPicture ? "parameters.prompt" : "inputs");
  for (const [parameter, field] of parameterFields) {
    into.set(field, parameters.any(parameter), `parameters.${parameter}`);
  }
  const size = parameters.object("target_size");
  for (const side of ["width", "height"]) {
    if (size.any(side) !== undefined) into.set(side, size.any(side), `parameters.target_size.${side}`);
  }
  wire.pass("options");
  into.ignored.push(...wire.ignored, ...parameters.ignored);
  return into;
}
