/** A finished job as `txt2img` answers it: pictures, the request's echo, and a text of JSON that says how they were made. */
import { encodeBase64 } from "@std/encoding";
import { version } from "../../engine/version.ts";
import type { EngineInfo } from "../../engine/protocol.ts";
import type { PictureWriter } from "../../image/write.ts";
import { fileOf } from "../answer/mod.ts";
import type { Job } from "../job.ts";
import type { A1111Request } from "./translate.ts";
import { samplerLabelOf } from "./lists.ts";

export interface ResultOptions {
  job: Job;
  wanted: A1111Request;
  /** The body as it was sent. */
  sent: ReadonlyMap<string, unknown>;
  info: EngineInfo;
  writer: PictureWriter;
  quality: number;
}

/** The answer of `txt2img` and `img2img`; a job that was interrupted has no pictures. */
export async function resultOf({ job, wanted, sent, info, writer, quality }: ResultOptions) {
  const interrupted = job.error !== undefined;
  const files = interrupted || !wanted.sendImages
    ? []
    : await Promise.all(job.pictures.map((_, i) => fileOf(job, i, { format: wanted.format, quality, writer })));
  const parameters = Object.fromEntries(sent);
  if (!wanted.includeInitImages) {
    if ("init_images" in parameters) parameters.init_images = null;
    if ("mask" in parameters) parameters.mask = null;
  }
  return {
    images: files.map((file) => encodeBase64(file)),
    parameters: plain(parameters),
    info: JSON.stringify(infoOf(job, info)),
  };
}

/** Files that were decoded on the way in, as the base64 that they were. */
function plain(value: unknown): unknown {
  if (value instanceof Uint8Array) return encodeBase64(value as Uint8Array<ArrayBuffer>);
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, plain(each)]));
}

function infoOf(job: Job, { model }: EngineInfo) {
  const { request, size } = job;
  const seeds = job.error || job.expired ? [request.seed] : job.pictures.map(({ seed }) => seed);
  const infotexts = job.error || job.expired ? [] : job.pictures.map(({ infotext }) => infotext);
  return {
    prompt: request.prompt,
    all_prompts: seeds.map(() => request.prompt),
    negative_prompt: request.negativePrompt,
    all_negative_prompts: seeds.map(() => request.negativePrompt),
    seed: request.seed,
    all_seeds: seeds,
    subseed: request.subseed ?? -1,
    all_subseeds: seeds.map((_, i) => request.subseed === undefined ? -1 : (request.subseed + i) % 2 ** 32),
    subseed_strength: request.subseedStrength ?? 0,
    width: size.width,
    height: size.height,
    sampler_name: samplerLabelOf(request.sampler),
    cfg_scale: request.guidanceScale,
    steps: request.steps,
    batch_size: request.n ?? 1,
    restore_faces: false,
    face_restoration_model: null,
    sd_model_name: model.name,
    sd_model_hash: null,
    sd_vae_name: null,
    sd_vae_hash: null,
    seed_resize_from_w: request.seedResizeFrom?.width ?? -1,
    seed_resize_from_h: request.seedResizeFrom?.height ?? -1,
    denoising_strength: request.hires?.strength ?? (job.fromImage ? request.strength : null),
    extra_generation_params: {},
    index_of_first_image: 0,
    infotexts,
    styles: [],
    job_timestamp: timestampOf(job.created),
    clip_skip: request.clipSkip ?? 1,
    is_using_inpainting_conditioning: false,
    version,
  };
}

/** YYYYMMDDhhmmss in UTC. */
export function timestampOf(ms: number): string {
  return new Date(ms).toISOString().replace(/\D/g, "").slice(0, 14);
}
