/** A request as the text that its picture carries, and back: all that is needed to make it again, and nothing that changes with time. */
import { parseInfotext, writeInfotext } from "../png/infotext.ts";
import { defaultEta, samplerLabel, schedulerLabel } from "../samplers/names.ts";
import type { EngineInfo } from "./protocol.ts";
import type { GenerateRequest } from "./request.ts";
import { inpaintFills, plainGuidance, resizeModes } from "./tasks.ts";
import { version } from "./version.ts";
import { emphases } from "../prompt/emphasis.ts";
import { emphasisLabels } from "./text_fields.ts";

/** One key of an infotext. */
interface Entry {
  key: string;
  /** What it says of a request; undefined where its absence does. */
  write(request: GenerateRequest, model: EngineInfo["model"]): string | number | boolean | undefined;
  /** The request's fields that a value stands for. */
  fields?(value: string): Record<string, unknown>;
}

/** The field of a name, with the value as it is. */
const to = (name: string) => (value: string) => ({ [name]: value });
const flagOf = (name: string) => (value: string) => ({ [name]: value === "True" });
const unless = <T>(value: T | undefined, usual: T): T | undefined => value === usual ? undefined : value;

/** Keys and their order are A1111's, those it does not have in front of the version; absent ones stand for usual values. */
const entries: readonly Entry[] = [
  { key: "Steps", write: ({ steps }) => steps, fields: to("steps") },
  { key: "Sampler", write: ({ sampler }) => samplerLabel(sampler), fields: to("sampler") },
  { key: "Schedule type", write: ({ scheduler }) => schedulerLabel(scheduler), fields: to("scheduler") },
  { key: "CFG scale", write: ({ guidanceScale }) => guidanceScale, fields: to("cfg_scale") },
  { key: "Seed", write: ({ seed }) => seed, fields: to("seed") },
  { key: "Size", write: ({ width, height }) => `${width}x${height}`, fields: sizeTo("width", "height") },
  { key: "Model", write: (_, { name }) => name, fields: to("model") },
  { key: "Variation seed", write: ({ subseed }) => subseed, fields: to("subseed") },
  { key: "Variation seed strength", write: ({ subseedStrength }) => subseedStrength, fields: to("subseed_strength") },
  {
    key: "Seed resize from",
    write: ({ seedResizeFrom: from }) => from && `${from.width}x${from.height}`,
    fields: sizeTo("seed_resize_from_w", "seed_resize_from_h"),
  },
  {
    key: "Denoising strength",
    write: ({ initImage, hires, strength }) => hires?.strength ?? (initImage && strength),
    fields: to("strength"),
  },
  { key: "Clip skip", write: ({ clipSkip }) => clipSkip, fields: to("clip_skip") },
  { key: "ENSD", write: ({ seedDelta }) => seedDelta, fields: to("eta_noise_seed_delta") },
  {
    key: "RNG",
    write: ({ rng }) => rng === "cpu" ? "CPU" : undefined,
    fields: (value) => ({ rng: value.toLowerCase() }),
  },
  { key: "Tiling", write: ({ tiling }) => tiling, fields: flagOf("tiling") },
  {
    key: "Hires resize",
    write: ({ hires }) => hires && `${hires.width}x${hires.height}`,
    fields: (value) => ({ enable_hr: true, ...sizeTo("hr_resize_x", "hr_resize_y")(value) }),
  },
  { key: "Hires upscale", write: () => undefined, fields: (value) => ({ enable_hr: true, hr_scale: value }) },
  { key: "Hires steps", write: ({ hires }) => hires?.steps, fields: to("hr_second_pass_steps") },
  { key: "Hires upscaler", write: ({ hires }) => hires?.upscaler, fields: to("hr_upscaler") },
  { key: "Hires sampler", write: ({ hires }) => hires && samplerLabel(hires.sampler), fields: to("hr_sampler_name") },
  {
    key: "Hires schedule type",
    write: ({ hires }) => hires && schedulerLabel(hires.scheduler),
    fields: to("hr_scheduler"),
  },
  { key: "Eta", write: ({ eta, sampler }) => unless(eta, defaultEta(sampler)), fields: to("eta") },
  { key: "Token merging ratio", write: ({ tokenMerging }) => tokenMerging, fields: to("token_merging_ratio") },
  {
    key: "Resize mode",
    write: ({ resizeMode }) => unless(resizeMode, "stretch"),
    fields: (value) => ({ resize_mode: (resizeModes as readonly string[]).indexOf(value) }),
  },
  { key: "Mask blur", write: ({ inpaint }) => inpaint?.blur, fields: to("mask_blur") },
  {
    key: "Mask mode",
    write: ({ inpaint }) => inpaint?.invert ? "Inpaint not masked" : undefined,
    fields: (value) => ({ inpainting_mask_invert: value === "Inpaint not masked" }),
  },
  {
    key: "Masked content",
    write: ({ inpaint }) => inpaint?.fill,
    fields: (value) => ({ inpainting_fill: (inpaintFills as readonly string[]).indexOf(value) }),
  },
  {
    key: "Inpaint area",
    write: ({ inpaint }) => inpaint?.onlyMasked ? "Only masked" : undefined,
    fields: (value) => ({ inpaint_full_res: value === "Only masked" }),
  },
  {
    key: "Masked area padding",
    write: ({ inpaint }) => inpaint?.onlyMasked ? inpaint.padding : undefined,
    fields: to("inpaint_full_res_padding"),
  },
  { key: "Soft mask", write: ({ inpaint }) => inpaint?.soft || undefined, fields: flagOf("soft_mask") },
  { key: "Outpaint left", write: ({ outpaint }) => outpaint?.left || undefined, fields: to("outpaint_left") },
  { key: "Outpaint right", write: ({ outpaint }) => outpaint?.right || undefined, fields: to("outpaint_right") },
  { key: "Outpaint top", write: ({ outpaint }) => outpaint?.top || undefined, fields: to("outpaint_top") },
  { key: "Outpaint bottom", write: ({ outpaint }) => outpaint?.bottom || undefined, fields: to("outpaint_bottom") },
  { key: "Guidance rescale", write: ({ guidance }) => guidance?.rescale || undefined, fields: to("guidance_rescale") },
  { key: "CFG start", write: ({ guidance }) => guidance?.start || undefined, fields: to("cfg_start") },
  { key: "CFG end", write: ({ guidance }) => unless(guidance?.end, plainGuidance.end), fields: to("cfg_end") },
  {
    key: "Dynamic threshold",
    write: ({ guidance }) => guidance?.threshold || undefined,
    fields: to("dynamic_threshold"),
  },
  {
    key: "Dynamic threshold percentile",
    write: ({ guidance }) => unless(guidance?.percentile, plainGuidance.percentile),
    fields: to("dynamic_threshold_percentile"),
  },
  { key: "Step cache", write: ({ stepCache }) => stepCache, fields: to("step_cache") },
  {
    key: "Emphasis",
    write: ({ emphasis }) => emphasis && emphasisLabels[emphasis],
    fields: (value) => ({ emphasis: emphases.find((name) => emphasisLabels[name] === value) }),
  },
  { key: "Prompt syntax", write: ({ promptSyntax }) => promptSyntax, fields: to("prompt_syntax") },
  { key: "Version", write: () => version },
];

function sizeTo(wide: string, high: string): (value: string) => Record<string, unknown> {
  return (value) => {
    const [width, height] = value.split("x");
    return { [wide]: width, [high]: height };
  };
}

/** The infotext of a request's only picture. */
export function infotextOf(request: GenerateRequest, model: EngineInfo["model"]): string {
  const parameters: Record<string, string> = {};
  for (const { key, write } of entries) {
    const value = write(request, model);
    if (value !== undefined) parameters[key] = value === true ? "True" : `${value}`;
  }
  const { prompt, negativePrompt } = request;
  return writeInfotext({ prompt, negativePrompt, parameters });
}

/** The fields of the request that an infotext tells of; its pictures are not among them. Keys not known here are passed over. */
export function infotextFields(text: string): Map<string, unknown> {
  const { prompt, negativePrompt, parameters } = parseInfotext(text);
  const fields = new Map<string, unknown>([["prompt", prompt], ["negative_prompt", negativePrompt]]);
  for (const { key, fields: read } of entries) {
    if (!read || !Object.hasOwn(parameters, key)) continue;
    for (const [name, value] of Object.entries(read(parameters[key]))) fields.set(name, value);
  }
  return fields;
}
