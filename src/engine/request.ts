/** What a picture is made from; defaults are filled in here and in the tables of task_fields.ts and text_fields.ts. */
import { decodeBase64 } from "@std/encoding";
import {
  choice,
  ConflictError,
  decimal,
  duration,
  type Field,
  field,
  named,
  RequestError,
  type RequestField,
  show,
  text,
  whole,
  wrong,
} from "./fields.ts";
import { nearestFirst } from "../std/nearest.ts";
import type { ModelInfo } from "./protocol.ts";
import { flattenHires, parseTasks, taskFields } from "./task_fields.ts";
import { outputSize, pictureCount, type Tasks } from "./tasks.ts";
import { readTextRequest, textFields, type TextRequest } from "./text_fields.ts";
import {
  defaultEta,
  findSampler,
  findScheduler,
  goTogether,
  type SamplerName,
  samplerNames,
  samplersWithSigmas,
  type SchedulerName,
  schedulerNames,
} from "../samplers/names.ts";

export { ConflictError, RequestError } from "./fields.ts";

/** One picture to make, every default filled in: what all surfaces translate to and the engine runs. */
export interface GenerateRequest extends Tasks, TextRequest {
  /** Name of the model; the engine's own where absent. */
  model?: string;
  prompt: string;
  negativePrompt: string;
  /** Pixels; multiples of 8. */
  width: number;
  height: number;
  steps: number;
  /** Weight of the conditional over the unconditional prediction; 1 runs no unconditional half. */
  guidanceScale: number;
  sampler: SamplerName;
  scheduler: SchedulerName;
  /** 0 to 2³² − 1. */
  seed: number;
  /** Whose normals the seed gives: CUDA's Philox (`nv`) or torch's CPU Mersenne twister (`cpu`). */
  rng: "nv" | "cpu";
  /** Share of the noise that a step replaces, 0 to 1, of the samplers that have a choice. */
  eta: number;
  /** Share of the schedule that image-to-image runs, above 0 to 1. */
  strength: number;
  /** Milliseconds without a further job after which device memory is given back; the server's own where absent. */
  keepAlive?: number;
}

/** What a request depends on beside its fields: the model that {@link modelOf} chose of it. */
export interface RequestContext extends Pick<ModelInfo, "model" | "limits"> {
  /** Chooses the seed where the request asks for any: 0 to 2³² − 1. */
  randomSeed?: () => number;
}

/** A request and what came with it. */
export interface ParsedRequest {
  request: GenerateRequest;
  /** The files of `init_image` and `mask`, not decoded yet: the request gets its pictures from them by tasks.ts. */
  initImageFile?: Uint8Array<ArrayBuffer>;
  maskFile?: Uint8Array<ArrayBuffer>;
  /** Names of fields that mean nothing here. */
  ignored: string[];
}

const largestPrompt = 20_000;

/**
 * Every field of a request by its name on the wire. `default` may be the model's; a field with neither default nor
 * `optional` is required. Parser and documentation both come from this table.
 */
export function fieldsOf({ model: { name, defaults }, limits }: RequestContext) {
  const side = whole({ min: limits.multiple, max: limits.maxSide, multipleOf: limits.multiple });
  return {
    prompt: field(text({ maxBytes: largestPrompt }), undefined, "What the picture shows"),
    negative_prompt: field(text({ maxBytes: largestPrompt }), "", "What it should not show"),
    width: field(side, defaults.width, "Pixels"),
    height: field(side, defaults.height, "Pixels"),
    steps: field(whole({ min: 1, max: 150 }), defaults.steps, "Denoising steps"),
    cfg_scale: field(
      decimal({ min: 0, max: 100 }),
      defaults.guidanceScale,
      "Weight of the prompt; up to 1 it is used alone",
    ),
    sampler: field(samplerName, defaults.sampler, "How noise is removed"),
    scheduler: field(schedulerName, defaults.scheduler, "How noise levels are spread"),
    seed: field(whole({ min: -1, max: 2 ** 32 - 1 }), -1, "Same seed, same picture; -1 chooses one"),
    rng: field(choice(["nv", "cpu"]), "nv", "Whose random numbers: as on an NVIDIA GPU, or as torch on a CPU"),
    ...textFields(limits),
    ...taskFields(limits),
    // Absent it is the sampler's own.
    eta: field(decimal({ min: 0, max: 1 }), null, "Share of the noise that a step replaces"),
    model: field(choice([name]), name, "One of the models that /v1/models lists"),
    keep_alive: field(duration, null, "How long without a job device memory is kept: 5m, 30s, 0, -1 for ever"),
  };
}

/**
 * The name in a request's field `model`; undefined where it names none.
 *
 * `why` says what else a name may stand for, if it knows.
 *
 * @throws ConflictError where that is no model, RequestError where there is none of that name, with those first that are
 * most like it
 */
export function modelOf(
  fields: ReadonlyMap<string, unknown>,
  names: () => readonly string[],
  why: (name: string) => string | undefined = () => undefined,
): string | undefined {
  const asked = fields.get("model") ?? undefined;
  if (asked === undefined) return undefined;
  const all = names();
  if (typeof asked === "string" && all.includes(asked)) return asked;
  const reason = typeof asked === "string" ? why(asked) : undefined;
  if (reason) throw new ConflictError("model", `Field model is ${show(asked)}: ${reason}`);
  throw wrong("model", nearestFirst(`${asked}`, all).slice(0, nearestNames).join(" or "), asked);
}

/** How many names a sentence lists. */
const nearestNames = 8;

/** A field of a request that is not a file. */
export type FieldName = keyof ReturnType<typeof fieldsOf>;

/** A sampler by any of its names; one like "DPM++ 2M Karras" gives a scheduler as well. */
const samplerName: Field<ReturnType<typeof findSampler>> = {
  schema: { type: "string", examples: samplerNames },
  parse: (name, value) => named(findSampler, name, value),
};

const schedulerName: Field<SchedulerName> = {
  schema: { type: "string", examples: schedulerNames },
  parse: (name, value) => named(findScheduler, name, value),
};

/** The names of the fields that are files: base64, a data URL, or an uploaded PNG, JPEG or WebP. */
export const fileFields = ["init_image", "mask"] as const;

/**
 * A request from its fields: text from a query or form, JSON values from a body, bytes for an uploaded file. A field
 * that is null counts as absent.
 *
 * @throws RequestError on the first field that will not do
 */
export function parseRequest(given: ReadonlyMap<string, unknown>, context: RequestContext): ParsedRequest {
  const table = fieldsOf(context), fields = new Map([...given, ...flattenHires(given.get("hires"))]);
  const read = <T>(name: string, { parse, default: absent }: RequestField<T>): T => {
    const value = fields.get(name) ?? absent;
    if (value === undefined) throw new RequestError(name, `Field ${name} is missing, even an empty text would do`);
    return parse(name, value);
  };
  const seed = read("seed", table.seed);
  const { sampler, scheduler = "automatic" } = read("sampler", table.sampler);
  // The model's own scheduler goes with its own sampler; with another it may not even exist.
  const absentScheduler = fields.get("sampler") == null ? table.scheduler.default : scheduler;
  const [initImageFile, maskFile] = fileFields.map((name) => parseFile(name, fields.get(name) ?? undefined));
  const keepAlive = fields.get("keep_alive") ?? undefined;
  const common = {
    model: read("model", table.model),
    prompt: read("prompt", table.prompt),
    negativePrompt: read("negative_prompt", table.negative_prompt),
    width: read("width", table.width),
    height: read("height", table.height),
    steps: read("steps", table.steps),
    guidanceScale: read("cfg_scale", table.cfg_scale),
    sampler,
    scheduler: read("scheduler", { ...table.scheduler, default: absentScheduler }),
    seed: seed === -1 ? (context.randomSeed ?? anySeed)() : seed,
    rng: read("rng", table.rng),
    eta: read("eta", { ...table.eta, default: defaultEta(sampler) }),
    ...readTextRequest(read, { maxSide: context.limits.maxSide, anySeed: context.randomSeed ?? anySeed }),
    ...(keepAlive !== undefined && { keepAlive: table.keep_alive.parse("keep_alive", keepAlive) }),
  };
  checkArea(common, context.limits);
  if (!goTogether(common.sampler, common.scheduler)) {
    const message = `Field scheduler is "${common.scheduler}", which sampler ${common.sampler} does not take, ` +
      `automatic or one of the samplers ${samplersWithSigmas.join(", ")} would do`;
    throw new ConflictError("scheduler", message);
  }
  const tasks = parseTasks((name) => read<never>(name, table[name] as RequestField<never>), {
    ...common,
    hasPicture: initImageFile !== undefined,
    hasMask: maskFile !== undefined,
    multiple: context.limits.multiple,
  });
  if (tasks.hires) checkArea(tasks.hires, context.limits, ["hr_resize_x", "hr_resize_y"]);
  const request = { ...common, ...tasks };
  checkTotal(request);
  const known = (name: string) =>
    name === "hires" || fileFields.some((file) => file === name) || Object.hasOwn(table, name);
  return {
    request,
    initImageFile,
    maskFile,
    ignored: [...given.keys()].filter((name) => !known(name)),
  };
}

/** Most pixels of all pictures of one request, which are held until they have been answered: 256 of 512×512. */
const mostPixels = 2 ** 26;

/** Refuses more pictures than one answer may hold. @throws RequestError */
export function checkTotal(request: Tasks & { width: number; height: number }): void {
  const { width, height } = outputSize(request), count = pictureCount(request);
  if (count === 1 || count * width * height <= mostPixels) return;
  const most = Math.max(1, Math.floor(mostPixels / (width * height)));
  const message = `Fields n and n_iter ask for ${count} pictures of ${width}×${height} pixels, ${most} would do`;
  throw new RequestError("n", message);
}

function anySeed(): number {
  return crypto.getRandomValues(new Uint32Array(1))[0];
}

/** Refuses an area that the device cannot run, and says which size of the same shape it can. */
function checkArea(
  { width, height }: { width: number; height: number },
  { maxPixels, multiple }: ModelInfo["limits"],
  [wideName, highName] = ["width", "height"],
): void {
  if (width * height <= maxPixels) return;
  const shrink = Math.sqrt(maxPixels / (width * height));
  const [wide, high] = [width, height].map((side) => Math.max(1, Math.floor(side * shrink / multiple)) * multiple);
  throw new RequestError(
    width >= height ? wideName : highName,
    `Fields ${wideName} and ${highName} are ${width}×${height} pixels, more than the ${maxPixels} of this device, ` +
      `${wide}×${high} would do`,
  );
}

/** The bytes of an upload, of base64 or of a data URL. */
function parseFile(name: string, value: unknown): Uint8Array<ArrayBuffer> | undefined {
  if (value === undefined || value instanceof Uint8Array) return value as Uint8Array<ArrayBuffer> | undefined;
  if (typeof value !== "string") throw wrong(name, fileWanted, value);
  return decodeFile(value, name);
}

const fileWanted = "base64, a data URL or an uploaded file";

/** Whether a field's text is the address of a file. */
export function isAddress(value: string): boolean {
  return /^https?:/i.test(value);
}

/** The file that a field's text holds, as base64 or as a data URL. @throws RequestError naming the field */
export function decodeFile(value: string, name: string = fileFields[0]): Uint8Array<ArrayBuffer> {
  if (isAddress(value)) {
    throw new RequestError(
      name,
      `Field ${name} is the address ${show(value)}, the picture itself as ${fileWanted} would do`,
    );
  }
  try {
    return decodeBase64(value.replace(/^data:[^,]*;base64,/i, ""));
  } catch {
    throw wrong(name, fileWanted, value);
  }
}
