/** The fields of a request that say how its picture is made beside the usual way; see tasks.ts. */
import { ConflictError, decimal, type Field, field, flag, named, RequestError, whole, wrong } from "./fields.ts";
import { findSampler, findScheduler, goTogether, type SamplerName, type SchedulerName } from "../samplers/names.ts";
import { type Hires, inpaintFills, plainGuidance, resizeModes, type Tasks, upscalers } from "./tasks.ts";

/** Most pictures of a request, together and one after the other. */
const most = { n: 16, iterations: 100 };
const largestSide = 4096;
/** Calls of the U-Net from one that is whole to the next: beyond, pictures are no longer those of the prompt. */
const mostCalls = 10;

/** A number that stands for one of a list, or its name. */
function numbered<const Name extends string>(names: readonly Name[]): Field<Name> {
  return {
    schema: { type: "integer", minimum: 0, maximum: names.length - 1, description: names.join(", ") },
    parse(name, value) {
      const at = typeof value === "string" && /^\d$/.test(value) ? Number(value) : value;
      const found = typeof at === "number" ? names[at] : names.find((known) => known === value);
      if (found !== undefined) return found;
      throw wrong(name, names.map((known, i) => `${i} (${known})`).join(" or "), value);
    },
  };
}

/** A name of an upscaler, in any case. */
const upscaler: Field<string> = {
  schema: { type: "string", enum: Object.keys(upscalers) },
  parse(name, value) {
    const found = Object.keys(upscalers).find((known) => known.toLowerCase() === String(value).toLowerCase());
    if (found) return found;
    throw wrong(name, Object.keys(upscalers).join(" or "), value);
  },
};

/** A name that may be left open by an empty text. */
function optionalName<T>(find: (text: string) => T): Field<T | undefined> {
  return { schema: { type: "string" }, parse: (name, value) => value === "" ? undefined : named(find, name, value) };
}

/** The fields, by name; `multiple` is what sides are multiples of. */
export function taskFields({ multiple, maxSide }: { multiple: number; maxSide: number }) {
  const border = whole({ min: 0, max: largestSide }), share = decimal({ min: 0, max: 1 });
  const side = whole({ min: 0, max: maxSide, multipleOf: multiple });
  return {
    n: field(whole({ min: 1, max: most.n }), 1, "Pictures made together; picture i has seed + i"),
    n_iter: field(whole({ min: 1, max: most.iterations }), 1, "How often so many pictures are made"),
    strength: field(
      decimal({ min: 0, max: 1, aboveMin: true }),
      0.75,
      "Share of the steps run on init_image, or by the second pass of enable_hr",
    ),
    resize_mode: field(
      numbered(resizeModes),
      0,
      "How init_image comes to width × height: 0 stretch, 1 crop, 2 fill, 3 latent",
    ),
    mask_blur: field(decimal({ min: 0, max: 64 }), 4, "How soft the mask's edge is, in pixels"),
    inpainting_fill: field(
      numbered(inpaintFills),
      1,
      "What the masked part starts from: 0 colours around it, 1 itself, 2 noise, 3 nothing",
    ),
    inpaint_full_res: field(flag, false, "Makes the masked part alone, as large as width × height, and puts it back"),
    inpaint_full_res_padding: field(whole({ min: 0, max: 1024 }), 32, "Pixels around it that are made with it"),
    inpainting_mask_invert: field(flag, false, "Repaints what the mask leaves black"),
    soft_mask: field(flag, false, "Mixes by the mask's levels instead of cutting them at half"),
    outpaint_left: field(border, 0, "Pixels of width to paint left of init_image"),
    outpaint_right: field(border, 0, "Pixels of width to paint right of it"),
    outpaint_top: field(border, 0, "Pixels of height to paint above it"),
    outpaint_bottom: field(border, 0, "Pixels of height to paint below it"),
    enable_hr: field(flag, false, "Makes the picture small and then again, enlarged: strength is the second pass's"),
    hr_scale: field(decimal({ min: 1, max: 8 }), 2, "How much larger"),
    hr_resize_x: field(side, 0, "Width instead of hr_scale; 0 follows from the other"),
    hr_resize_y: field(side, 0, "Height instead of hr_scale"),
    hr_upscaler: field(upscaler, "Latent", "How it is enlarged"),
    hr_second_pass_steps: field(whole({ min: 0, max: 150 }), 0, "Steps of the second pass; 0 as many as the first"),
    hr_sampler_name: field(optionalName(findSampler), "", "Sampler of the second pass; the first's where empty"),
    hr_scheduler: field(optionalName(findScheduler), "", "Scheduler of the second pass"),
    tiling: field(flag, false, "Makes opposite edges join"),
    token_merging_ratio: field(
      decimal({ min: 0, max: 0.75 }),
      0,
      "Share of tokens that self-attention merges with similar ones: less work, another picture",
    ),
    guidance_rescale: field(share, 0, "Share of the prompt's own contrast that guidance keeps"),
    cfg_start: field(share, 0, "Share of the steps before which the prompt is used alone"),
    cfg_end: field(share, 1, "Share of the steps after which the prompt is used alone"),
    dynamic_threshold: field(decimal({ min: 0, max: 100 }), 0, "Largest magnitude of predicted latents; 0 for any"),
    dynamic_threshold_percentile: field(share, plainGuidance.percentile, "Share of latents that have to keep to it"),
    step_cache: field(
      whole({ min: 1, max: mostCalls }),
      1,
      "Every so many calls the whole U-Net is run, else its outermost layers alone; 1 for all",
    ),
    previews: field(whole({ min: 0, max: 150 }), 0, "Small pictures on the way, spread evenly over all steps"),
  };
}

/** What reads one of the fields. */
type Read = <Name extends keyof ReturnType<typeof taskFields>>(
  name: Name,
) => ReturnType<ReturnType<typeof taskFields>[Name]["parse"]>;

/** What the request says of its other fields. */
interface Common {
  width: number;
  height: number;
  steps: number;
  sampler: SamplerName;
  scheduler: SchedulerName;
  /** Whether there are these files. */
  hasPicture: boolean;
  hasMask: boolean;
  multiple: number;
}

/**
 * The tasks of a request; `strength` is parsed with them.
 *
 * @throws RequestError where fields do not go together
 */
export function parseTasks(read: Read, common: Common): Tasks & { strength: number } {
  const { hasPicture, hasMask, steps } = common, strength = read("strength");
  const tasks: Tasks & { strength: number } = { strength };
  const n = read("n"), iterations = read("n_iter"), previews = read("previews");
  if (n > 1) tasks.n = n;
  if (iterations > 1) tasks.iterations = iterations;
  if (previews > 0) tasks.previews = previews;
  if (read("tiling")) tasks.tiling = true;
  const tokenMerging = read("token_merging_ratio");
  if (tokenMerging > 0) tasks.tokenMerging = tokenMerging;
  const stepCache = read("step_cache");
  if (stepCache > 1) tasks.stepCache = stepCache;
  const guidance = {
    rescale: read("guidance_rescale"),
    start: read("cfg_start"),
    end: read("cfg_end"),
    threshold: read("dynamic_threshold"),
    percentile: read("dynamic_threshold_percentile"),
  };
  if (guidance.start >= guidance.end) {
    throw new ConflictError(
      "cfg_start",
      `Field cfg_start is ${guidance.start} and cfg_end ${guidance.end}, a cfg_start below cfg_end would do`,
    );
  }
  if (JSON.stringify(guidance) !== JSON.stringify(plainGuidance)) tasks.guidance = guidance;

  const outpaint = {
    left: read("outpaint_left"),
    top: read("outpaint_top"),
    right: read("outpaint_right"),
    bottom: read("outpaint_bottom"),
  };
  const grows = Object.values(outpaint).some((pixels) => pixels > 0);
  const resizeMode = read("resize_mode");
  if (hasMask && !hasPicture) {
    throw new ConflictError("mask", "Field mask comes without init_image, both together would do");
  }
  if (grows && !hasPicture) {
    throw new ConflictError("init_image", "Fields outpaint_… come without init_image, both together would do");
  }
  if (hasPicture && resizeMode !== "stretch") tasks.resizeMode = resizeMode;
  if (grows) {
    const inner = [
      ["width", common.width - outpaint.left - outpaint.right],
      ["height", common.height - outpaint.top - outpaint.bottom],
    ] as const;
    for (const [name, pixels] of inner) {
      if (pixels >= common.multiple) continue;
      const message =
        `Field ${name} is ${common[name]}, of which outpainting leaves ${pixels} pixels for init_image, ` +
        `${common[name] - pixels + common.multiple} or more would do`;
      throw new ConflictError(name, message);
    }
    tasks.outpaint = outpaint;
  }
  if (hasMask || grows) {
    if (resizeMode === "latent") {
      throw new ConflictError(
        "resize_mode",
        "Field resize_mode is 3 (latent), which a mask does not go with, 0 to 2 would do",
      );
    }
    tasks.inpaint = {
      blur: read("mask_blur"),
      invert: hasMask && read("inpainting_mask_invert"),
      fill: read("inpainting_fill"),
      onlyMasked: read("inpaint_full_res"),
      padding: read("inpaint_full_res_padding"),
      soft: read("soft_mask"),
    };
  }
  if (hasPicture) checkStrength(strength, steps);
  if (read("enable_hr")) tasks.hires = hiresOf(read, strength, common);
  return tasks;
}

function checkStrength(strength: number, steps: number): void {
  if (Math.floor(steps * strength) >= 1) return;
  const message = `Field strength is ${strength}, which leaves none of ${steps} steps, ` +
    `${Math.min(1, Math.ceil(1000 / steps) / 1000)} or more would do`;
  throw new RequestError("strength", message);
}

function hiresOf(read: Read, strength: number, common: Common): Hires {
  if (common.hasPicture) {
    throw new ConflictError("enable_hr", "Field enable_hr does not go with init_image, one of them would do");
  }
  const steps = read("hr_second_pass_steps") || common.steps;
  checkStrength(strength, steps);
  const size = hiresSize(read, common), { width, height } = size;
  if (width < common.width || height < common.height) {
    const message =
      `Field hr_resize_x × hr_resize_y is ${width}×${height}, smaller than ${common.width}×${common.height}, ` +
      `a larger size would do`;
    throw new ConflictError("hr_resize_x", message);
  }
  const asked = read("hr_sampler_name"), sampler = asked?.sampler ?? common.sampler;
  const scheduler = read("hr_scheduler") ?? (asked ? asked.scheduler ?? "automatic" : common.scheduler);
  if (!goTogether(sampler, scheduler)) {
    const message = `Field hr_scheduler is "${scheduler}", which sampler ${sampler} does not take, automatic would do`;
    throw new ConflictError("hr_scheduler", message);
  }
  return { ...size, upscaler: read("hr_upscaler"), steps, strength, sampler, scheduler };
}

/** The enlarged size: by the scale, or by one side and the picture's proportions, or by both. */
function hiresSize(read: Read, { width, height, multiple }: Common): { width: number; height: number } {
  const x = read("hr_resize_x"), y = read("hr_resize_y"), scale = read("hr_scale");
  const whole = (side: number) => Math.max(1, Math.floor(side / multiple)) * multiple;
  if (x === 0 && y === 0) return { width: whole(width * scale), height: whole(height * scale) };
  return { width: x || whole(width * y / height), height: y || whole(height * x / width) };
}

/** Members of a request's field `hires`, and the fields that they stand for. */
export const hiresMembers = {
  scale: "hr_scale",
  width: "hr_resize_x",
  height: "hr_resize_y",
  upscaler: "hr_upscaler",
  steps: "hr_second_pass_steps",
  strength: "strength",
  sampler: "hr_sampler_name",
  scheduler: "hr_scheduler",
} as const satisfies Record<string, keyof ReturnType<typeof taskFields>>;

/** A request's field `hires` as the fields that its members stand for. */
export function flattenHires(value: unknown): [string, unknown][] {
  if (value === undefined || value === null || value === false) return [];
  const names: Readonly<Record<string, string>> = hiresMembers, all = Object.keys(names);
  if (typeof value !== "object" || Array.isArray(value)) throw wrong("hires", `an object of ${all.join(", ")}`, value);
  const members = Object.entries(value).map(([name, member]): [string, unknown] => {
    if (!Object.hasOwn(names, name)) {
      const message = `Field hires has ${JSON.stringify(name.slice(0, 40))}, ${all.join(" or ")} would do`;
      throw new RequestError("hires", message);
    }
    return [names[name], member];
  });
  return [["enable_hr", true], ...members];
}
