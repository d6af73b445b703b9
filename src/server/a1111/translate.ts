/** A1111's `txt2img` and `img2img` bodies as native fields. */
import { findSampler, samplersWithSigmas } from "../../samplers/mod.ts";
import { RequestError } from "../../engine/request.ts";
import type { FileFormat } from "../delivery.ts";
import { Translation, type Wire } from "../translate.ts";
import type { Settings } from "./settings.ts";

/** What an A1111 client sent, understood. */
export interface A1111Request {
  translation: Translation;
  /** Whether the answer holds the pictures, and the picture that was sent. */
  sendImages: boolean;
  includeInitImages: boolean;
  /** The settings of this request, and whether they last for later ones. */
  overrides: Wire;
  keepsOverrides: boolean;
  /** The client's own name for the task. */
  taskId?: string;
  format: FileFormat;
}

/** What is said of a picture that is repainted in part, and what A1111 takes where it is not said. */
const maskFields: Record<string, unknown> = {
  mask_blur: 4,
  inpainting_fill: 0,
  inpaint_full_res: true,
  inpaint_full_res_padding: 0,
  inpainting_mask_invert: 0,
};
/** What is said of a second, larger pass. */
const hiresFields = [
  "hr_scale",
  "hr_upscaler",
  "hr_second_pass_steps",
  "hr_resize_x",
  "hr_resize_y",
  "hr_sampler_name",
  "hr_scheduler",
  "hr_prompt",
  "hr_negative_prompt",
];

/**
 * The body of `txt2img` or, with `fromImage`, of `img2img`. What A1111 can and this engine cannot is refused where it is
 * asked for, and passed over at its usual value.
 *
 * @throws RequestError
 */
export function translate(wire: Wire, settings: Settings, { fromImage }: { fromImage: boolean }): A1111Request {
  const into = new Translation();
  const given = wire.object("override_settings"), overrides = settings.with(given);
  into.set("prompt", wire.text("prompt") ?? "");
  into.set("negative_prompt", wire.text("negative_prompt"));
  into.set("steps", wire.number("steps") ?? 50);
  into.set("cfg_scale", wire.number("cfg_scale") ?? 7);
  into.set("width", wire.number("width") ?? 512);
  into.set("height", wire.number("height") ?? 512);
  into.set("seed", seedOf(wire.number("seed") ?? -1));
  const sampler = samplerOf(wire), scheduler = wire.text("scheduler");
  into.set("sampler", sampler, "sampler_name");
  // "Automatic" stands for the one that the sampler's own name may hold.
  if (scheduler && scheduler.toLowerCase() !== "automatic" && takesScheduler(sampler)) into.set("scheduler", scheduler);
  countPictures(wire, into);
  setUnless(into, wire, "subseed_strength", [0]);
  if (wire.number("subseed_strength")) into.set("subseed", wire.number("subseed"));
  wire.pass("subseed");
  setUnless(into, wire, "seed_resize_from_w", [-1, 0]);
  setUnless(into, wire, "seed_resize_from_h", [-1, 0]);
  for (const name of ["restore_faces", "tiling"]) if (wire.flag(name)) into.set(name, true);
  into.set("eta", wire.number("eta")); // an explicit 0 is not the sampler's own
  for (const name of ["s_churn", "s_tmin"]) setUnless(into, wire, name, [0]);
  setUnless(into, wire, "s_tmax", [0, Infinity]);
  setUnless(into, wire, "s_noise", [1]);
  setUnless(into, wire, "s_min_uncond", [0]);
  refuseRefiner(wire, into);
  if (wire.flag("enable_hr")) setHires(wire, into);
  wire.pass(...hiresFields, "firstphase_width", "firstphase_height");
  if (fromImage) setPictures(wire, into);
  else wire.pass("denoising_strength");
  const format = overrides.apply(into);
  refuseScripts(wire);
  wire.pass("styles", "save_images", "do_not_save_samples", "do_not_save_grid");
  wire.pass("comments", "disable_extra_networks");
  const request = {
    translation: into,
    sendImages: wire.flag("send_images") ?? true,
    includeInitImages: wire.flag("include_init_images") ?? false,
    overrides: given,
    keepsOverrides: wire.flag("override_settings_restore_afterwards") === false,
    taskId: wire.text("force_task_id"),
    format,
  };
  into.ignored.push(...wire.ignored);
  return request;
}

/** `sampler_name`, else `sampler_index`, which despite its name is a name as well. */
function samplerOf(wire: Wire): string {
  const name = wire.any("sampler_name") ?? wire.any("sampler_index") ?? "Euler";
  wire.pass("sampler_index");
  if (typeof name === "string") return name;
  throw new RequestError("sampler_name", "Field sampler_name is no text, the name of a sampler would do");
}

/** A1111 spreads the levels of DDIM, PLMS and the like itself, and passes over a scheduler that stands beside them. */
function takesScheduler(sampler: string): boolean {
  try {
    return samplersWithSigmas.includes(findSampler(sampler).sampler);
  } catch { // of an unknown sampler the request's parser says more
    return true;
  }
}

/** A1111 takes any whole number, and every negative one for "choose". */
function seedOf(seed: number): number {
  return seed < 0 ? -1 : seed;
}

function countPictures(wire: Wire, into: Translation): void {
  const rounds = wire.number("n_iter") ?? 1, size = wire.number("batch_size") ?? 1;
  if (size !== 1) into.set("n", size, "batch_size");
  if (rounds !== 1) into.set("n_iter", rounds);
}

function setPictures(wire: Wire, into: Translation): void {
  const [image] = wire.list("init_images") ?? [];
  into.set("init_image", image, "init_images");
  into.set("strength", wire.number("denoising_strength") ?? 0.75, "denoising_strength");
  setUnless(into, wire, "resize_mode", [0]);
  setUnless(into, wire, "image_cfg_scale", [0, 1, 1.5]);
  if (wire.any("mask") === undefined) {
    return wire.pass(...Object.keys(maskFields), "mask_blur_x", "mask_blur_y", "mask_round");
  }
  into.set("mask", wire.any("mask"));
  wire.pass("mask_blur_x", "mask_blur_y", "mask_round");
  for (const [name, absent] of Object.entries(maskFields)) into.set(name, wire.any(name) ?? absent);
}

/** A number that is passed on unless it has one of its usual values. */
function setUnless(into: Translation, wire: Wire, name: string, usual: number[]): void {
  const value = wire.number(name);
  if (value !== undefined && !usual.includes(value)) into.set(name, value);
}

function setHires(wire: Wire, into: Translation): void {
  into.set("enable_hr", true);
  into.set("strength", wire.number("denoising_strength") ?? 0.75, "denoising_strength");
  for (const name of hiresFields) {
    const value = wire.any(name);
    if (value !== "") into.set(name, value);
  }
}

/** A second model that takes over on the way: A1111 has none where none is named, or where it would come after the last step. */
function refuseRefiner(wire: Wire, into: Translation): void {
  const refiner = wire.text("refiner_checkpoint"), from = wire.number("refiner_switch_at") ?? 0;
  if (refiner && refiner.toLowerCase() !== "none" && from < 1) into.set("refiner_checkpoint", refiner);
}

/** Scripts are programmes of A1111's own; an empty list of them is sent by nearly every client. */
function refuseScripts(wire: Wire): void {
  const script = wire.text("script_name");
  if (script) {
    throw new RequestError(
      "script_name",
      `Field script_name is ${JSON.stringify(script.slice(0, 60))}, no script would do`,
    );
  }
  wire.pass("script_args");
  const [always] = wire.object("alwayson_scripts").ignored;
  if (always === undefined) return;
  const message = `Field alwayson_scripts asks for ${JSON.stringify(always.slice(17, 80))}, no script would do`;
  throw new RequestError("alwayson_scripts", message);
}
