/** JSON Schemas of what the server answers, and of what other surfaces send, in terms of the native fields. */
import type { RequestContext } from "../../engine/request.ts";
import { fieldsOf, fileFields } from "../../engine/request.ts";
import { hiresMembers } from "../../engine/task_fields.ts";
import { deliveryFields, fileFormats } from "../delivery.ts";

export type Schema = Record<string, unknown>;

/** A field as the tables of the request describe it. */
interface Described {
  schema: Readonly<Schema>;
  default: unknown;
  description: string;
}

const text = { type: "string" };
const number = { type: "number" };
const base64 = { type: "string", contentEncoding: "base64" };
const list = (items: Schema): Schema => ({ type: "array", items });
const object = (properties: Schema, required: string[] = []): Schema => ({ type: "object", properties, required });

/** The native fields of a request by their names: the picture's, the file's, and those of how it is answered. */
export function requestProperties(context: RequestContext): Record<string, Schema> {
  const table = { ...fieldsOf(context), ...deliveryFields } as Record<string, Described>;
  const described = Object.entries(table).map(([name, field]): [string, Schema] => {
    const absent = field.default === undefined || field.default === null ? {} : { default: field.default };
    return [name, { ...field.schema, ...absent, description: field.description }];
  });
  const descriptions: Record<typeof fileFields[number], string> = {
    init_image: "A PNG, JPEG or WebP to start from: base64, a data URL, an upload, or where that is allowed an address",
    mask:
      "A PNG, JPEG or WebP as large as init_image: white, or where it has an alpha channel opaque, where it is repainted",
  };
  const files = fileFields.map((name) => [name, { ...base64, description: descriptions[name] }]);
  return { ...Object.fromEntries(described), ...Object.fromEntries(files) };
}

/** The field `hires` of a request in JSON, in the words of the fields that its members stand for. */
function hiresSchema(properties: Record<string, Schema>): Schema {
  const members = Object.entries(hiresMembers).map(([name, field]): [string, Schema] => [name, properties[field]]);
  const description = "The same as enable_hr and the fields hr_…, in JSON";
  return { ...object(Object.fromEntries(members)), additionalProperties: false, description };
}

/** What other surfaces call the native fields, and what they have beside them. */
const openAiNames: Record<string, string> = {
  prompt: "prompt",
  model: "model",
  n: "n",
  seed: "seed",
  steps: "steps",
  negative_prompt: "negative_prompt",
  cfg_scale: "cfg_scale",
  sampler: "sampler",
  scheduler: "scheduler",
};
const a1111Names: Record<string, string> = {
  prompt: "prompt",
  negative_prompt: "negative_prompt",
  seed: "seed",
  steps: "steps",
  cfg_scale: "cfg_scale",
  width: "width",
  height: "height",
  sampler_name: "sampler",
  scheduler: "scheduler",
  denoising_strength: "strength",
};
const huggingFaceNames: Record<string, string> = {
  negative_prompt: "negative_prompt",
  width: "width",
  height: "height",
  num_inference_steps: "steps",
  guidance_scale: "cfg_scale",
  seed: "seed",
  strength: "strength",
};

/** Every schema that the document refers to, by its name. */
export function schemas(context: RequestContext): Record<string, Schema> {
  const properties = requestProperties(context);
  const named = (names: Record<string, string>, without: string[] = []): Schema =>
    Object.fromEntries(
      Object.entries(names).map(([name, native]) => {
        const { default: absent, ...schema } = properties[native];
        return [name, without.includes(name) || absent === undefined ? schema : { ...schema, default: absent }];
      }),
    );
  const openAi = {
    ...named(openAiNames, ["model"]),
    size: { type: "string", pattern: "^(auto|\\d+x\\d+)$", default: "auto" },
    quality: { enum: ["auto", "standard", "hd", "low", "medium", "high"], default: "auto" },
    response_format: { enum: ["b64_json", "url"], default: "b64_json" },
    output_format: { enum: fileFormats, default: "png" },
    output_compression: { type: "integer", minimum: 0, maximum: 100, default: 100 },
    stream: { type: "boolean", default: false },
    partial_images: { type: "integer", minimum: 0, maximum: 3, default: 0 },
    background: { enum: ["auto", "opaque"], default: "auto" },
    user: text,
  };
  // A1111 has defaults of its own, and a negative seed of any size stands for a chosen one.
  const a1111 = {
    ...named(a1111Names, Object.keys(a1111Names)),
    send_images: { type: "boolean", default: true },
    override_settings: { type: "object" },
    force_task_id: text,
  };
  const prompt = { ...properties.prompt };
  return {
    Request: object({ ...properties, hires: hiresSchema(properties) }, ["prompt"]),
    Error: object({
      error: object({ message: text, type: text, param: { type: ["string", "null"] }, code: text }, [
        "message",
        "type",
        "param",
        "code",
      ]),
    }, ["error"]),
    Answer: object({
      id: text,
      images: list(base64),
      info: object({ seeds: list({ type: "integer" }), infotexts: list(text) }),
      timing: { type: "object", additionalProperties: number },
    }, ["id", "images", "info", "timing"]),
    Job: object({
      id: text,
      status: { enum: ["queued", "running", "completed", "failed", "cancelled"] },
      position: { type: "integer" },
      created: { type: "string", format: "date-time" },
      started: { type: "string", format: "date-time" },
      finished: { type: "string", format: "date-time" },
      progress: object({ step: { type: "integer" }, steps: { type: "integer" } }),
      seed: { type: "integer" },
      timing: { type: "object", additionalProperties: number },
      error: { type: "object" },
      links: object({ self: text, events: text, images: list(text) }),
    }, ["id", "status", "created", "progress", "seed", "links"]),
    Model: object({ id: text, object: { const: "model" }, created: { type: "integer" }, owned_by: text }, ["id"]),
    Models: object({ object: { const: "list" }, data: list({ $ref: "#/components/schemas/Model" }) }, ["data"]),
    Health: object({ status: text }, ["status"]),
    OpenAiGeneration: object(openAi, ["prompt"]),
    OpenAiEdit: object({ ...openAi, image: base64 }, ["prompt", "image"]),
    OpenAiVariation: object({ image: base64, size: openAi.size, response_format: openAi.response_format }, ["image"]),
    OpenAiImages: object({
      created: { type: "integer" },
      data: list(object({ b64_json: base64, url: text })),
      output_format: text,
      size: text,
      quality: text,
      background: text,
    }, ["created", "data"]),
    A1111Txt2img: object(a1111),
    A1111Img2img: object({ ...a1111, init_images: list(base64), include_init_images: { type: "boolean" } }, [
      "init_images",
    ]),
    A1111Images: object({ images: list(base64), parameters: { type: "object" }, info: text }, ["images", "info"]),
    HuggingFace: object(
      { inputs: prompt, parameters: object(named(huggingFaceNames, Object.keys(huggingFaceNames))) },
      [
        "inputs",
      ],
    ),
    KServeRequest: object({
      id: text,
      inputs: list(
        object({ name: text, datatype: text, shape: list({ type: "integer" }), data: { type: "array" } }, ["name"]),
      ),
    }, ["inputs"]),
    KServeAnswer: object({ model_name: text, model_version: text, outputs: list({ type: "object" }) }, ["outputs"]),
  };
}
