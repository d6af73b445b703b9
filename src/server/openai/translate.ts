/** The bodies of OpenAI's image endpoints as native fields. */
import { RequestError } from "../../engine/request.ts";
import { type FileFormat, fileFormats } from "../delivery.ts";
import { Translation, type Wire } from "../translate.ts";

export type Endpoint = "generations" | "edits" | "variations";

/** What an OpenAI client sent, understood. */
export interface OpenAiRequest {
  translation: Translation;
  stream: boolean;
  responseFormat: "b64_json" | "url";
  format: FileFormat;
  /** 1 to 100, of JPEG and WebP. */
  compression: number;
  quality: string;
}

/** Steps for each quality; `auto` and `standard` leave them to the model. */
const stepsByQuality: Record<string, number | undefined> = {
  auto: undefined,
  standard: undefined,
  hd: 50,
  low: 12,
  medium: 20,
  high: 30,
};

/** Names of OpenAI's own models, which programmes send unless they are told otherwise: any model stands in for them. */
const standIn = /^(dall-e-|gpt-image-|chatgpt-image-)/;

/** Fields that go by without an effect. */
const withoutEffect = ["moderation", "style", "user", "input_fidelity"];

/** @throws RequestError */
export function translate(wire: Wire, endpoint: Endpoint): OpenAiRequest {
  const into = new Translation();
  if (endpoint === "variations") into.set("prompt", "");
  else into.set("prompt", wire.text("prompt"));
  const model = wire.text("model");
  if (model !== undefined && !standIn.test(model)) into.set("model", model);
  const n = wire.number("n") ?? 1;
  if (n !== 1) into.set("n", n);
  setSize(wire, into);
  const quality = choiceOf(wire, "quality", Object.keys(stepsByQuality), "auto");
  into.set("steps", wire.any("steps") ?? wire.any("num_inference_steps") ?? stepsByQuality[quality]);
  into.set("cfg_scale", wire.any("cfg_scale") ?? wire.any("guidance_scale"));
  wire.pass("num_inference_steps", "guidance_scale");
  for (const name of ["seed", "negative_prompt", "sampler", "scheduler", "loras", "rng"]) {
    into.set(name, wire.any(name));
  }
  if (endpoint !== "generations") setPictures(wire, into);
  const stream = wire.flag("stream") ?? false, partial = wire.number("partial_images") ?? 0;
  if (![0, 1, 2, 3].includes(partial)) throw wrong("partial_images", partial, "0 to 3");
  if (stream && partial > 0) into.prefer("previews", partial, "partial_images");
  choiceOf(wire, "background", ["auto", "opaque"], "auto");
  const format = choiceOf(wire, "output_format", fileFormats, "png");
  const compression = wire.number("output_compression") ?? 100;
  if (!(compression >= 0 && compression <= 100)) throw wrong("output_compression", compression, "0 to 100");
  const responseFormat = choiceOf(wire, "response_format", ["b64_json", "url"], "b64_json");
  wire.pass(...withoutEffect);
  into.ignored.push(...wire.ignored);
  return {
    translation: into,
    stream,
    responseFormat,
    format,
    compression: Math.max(1, Math.round(compression)),
    quality,
  };
}

/** "1024x1024", or "auto" for the model's own size. */
function setSize(wire: Wire, into: Translation): void {
  const size = wire.text("size") ?? "auto";
  if (size === "auto") return;
  const found = /^(\d{1,5})x(\d{1,5})$/.exec(size);
  if (!found) throw wrong("size", size, "auto or WIDTHxHEIGHT");
  into.set("width", found[1], "size");
  into.set("height", found[2], "size");
}

function setPictures(wire: Wire, into: Translation): void {
  const given = wire.any("image") ?? wire.any("image[]");
  wire.pass("image[]");
  const images = Array.isArray(given) ? given : given === undefined ? [] : [given];
  if (images.length !== 1) throw wrong("image", `${images.length} pictures`, "one picture");
  into.set("init_image", images[0], "image");
  into.set("strength", wire.any("strength"));
  const mask = wire.any("mask");
  if (mask === undefined) return;
  into.set("mask", mask);
  // What is transparent is painted here; elsewhere it is what is opaque.
  into.set("inpainting_mask_invert", 1, "mask");
}

function choiceOf<const Name extends string>(wire: Wire, name: string, names: readonly Name[], absent: Name): Name {
  const value = wire.any(name) ?? absent;
  const found = names.find((candidate) => candidate === value);
  if (found === undefined) throw wrong(name, value, names.join(", "));
  return found;
}

function wrong(name: string, found: unknown, wanted: string): RequestError {
  return new RequestError(name, `Field ${name} is ${JSON.stringify(found)?.slice(0, 60)}, ${wanted} would do`);
}
