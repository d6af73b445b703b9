/**
 * The scheduler_config.json beside a model's weights. Every sampler names the keys that it reads and the values that
 * absent ones have in the diffusers class of that sampler: the classes differ, so defaults are no property of the file.
 */

/** A scheduler_config.json as it was read; which keys count depends on the sampler. */
export type SchedulerJson = Readonly<Record<string, unknown>>;

/** A sampler, scheduler, scheduler_config.json and count of steps that do not go together, as one sentence. */
export class UnsupportedScheduleError extends RangeError {
  override name = "UnsupportedScheduleError";

  /** `field` is what another value of would do. */
  constructor(message: string, readonly field: "sampler" | "steps" = "sampler") {
    super(message);
  }
}

/** One key: its value where it is absent or null, and which others are accepted. */
interface Rule<Value> {
  absent: Value;
  accepts(value: unknown): boolean;
  /** The accepted values in words, to end "it must be …". */
  wants: string;
}

/** The values that a set of rules yields. */
export type Config<Rules> = { readonly [Key in keyof Rules]: Rules[Key] extends Rule<infer Value> ? Value : never };

/** A whole number from `least`, to `most` where there is one. */
export function whole(absent: number, { least, most = Infinity }: { least: number; most?: number }): Rule<number> {
  return {
    absent,
    accepts: (value) => Number.isInteger(value) && Number(value) >= least && Number(value) <= most,
    wants: most === Infinity ? `whole, ${least} or more` : `whole, ${least} to ${most}`,
  };
}

/** A finite number. */
export function number<Absent extends number | null>(absent: Absent): Rule<number | Absent> {
  return { absent, accepts: (value) => Number.isFinite(value), wants: "a finite number" };
}

/** A list of numbers; null where it is absent. */
export function numbers(): Rule<readonly number[] | null> {
  const accepts = (value: unknown) => Array.isArray(value) && value.every((item) => Number.isFinite(item));
  return { absent: null, accepts, wants: "a list of numbers" };
}

/** true or false. */
export function flag(absent: boolean): Rule<boolean> {
  return { absent, accepts: (value) => typeof value === "boolean", wants: "true or false" };
}

/** One of a few values, the first where the key is absent. A single one is a feature that must be left alone. */
export function oneOf<const Value extends string | number | boolean>(absent: Value, ...others: Value[]): Rule<Value> {
  const values = [absent, ...others];
  return { absent, accepts: (value) => values.some((one) => one === value), wants: values.join(" or ") };
}

/**
 * The noise schedule that the model was trained with: the same keys and defaults in every class. A rescaled one is the
 * model's own, so it counts for samplers as well whose class in the reference does not know the key.
 */
export const TRAINING_RULES = {
  num_train_timesteps: whole(1000, { least: 1 }),
  beta_start: number(0.0001),
  beta_end: number(0.02),
  beta_schedule: oneOf("linear", "scaled_linear", "squaredcos_cap_v2"),
  trained_betas: numbers(),
  rescale_betas_zero_snr: flag(false),
  steps_offset: whole(0, { least: 0 }),
};

/** How sigmas are spread, of the classes that have a choice: at most one of the three is true. */
export const SIGMA_RULES = {
  use_karras_sigmas: flag(false),
  use_exponential_sigmas: flag(false),
  use_beta_sigmas: flag(false),
  sigma_min: number(null),
  sigma_max: number(null),
};

/** Clipping of the denoised prediction. Thresholds above 1, the only ones that depend on the picture, are not had. */
export const CLIP_RULES = {
  clip_sample: flag(true),
  clip_sample_range: number(1),
  thresholding: flag(false),
  sample_max_value: oneOf(1),
};

export type TrainingConfig = Config<typeof TRAINING_RULES>;
export type SigmaConfig = Config<typeof SIGMA_RULES>;
export type ClipConfig = Config<typeof CLIP_RULES>;

/** Largest magnitude of a prediction; undefined where it is not clipped. */
export function clipOf({ clip_sample, clip_sample_range, thresholding }: ClipConfig): number | undefined {
  // With sample_max_value 1 the threshold, a quantile of at least 1 and at most that, is 1.
  return thresholding ? 1 : clip_sample ? clip_sample_range : undefined;
}

/**
 * The keys of `rules` out of `json`, absent and null ones filled in.
 * Throws an UnsupportedScheduleError naming `sampler`, the key and its value where a value is not accepted.
 */
export function readConfig<Rules extends Record<string, Rule<unknown>>>(
  json: SchedulerJson,
  rules: Rules,
  sampler: string,
): Config<Rules> {
  const entries = Object.entries(rules).map(([key, { absent, accepts, wants }]) => {
    const value = Object.hasOwn(json, key) ? json[key] ?? absent : absent;
    if (value !== absent && !accepts(value)) {
      const found = JSON.stringify(value).slice(0, 80);
      throw new UnsupportedScheduleError(
        `Cannot use sampler ${sampler} with this scheduler_config.json: its ${key} is ${found}, it must be ${wants}`,
      );
    }
    return [key, value];
  });
  return Object.fromEntries(entries) as Config<Rules>;
}

/**
 * The text of a scheduler_config.json. Python writes -Infinity for the default of `lambda_min_clipped`, which JSON does
 * not have: it is read as null, so the default stands. Throws a SyntaxError where it is no JSON object.
 */
export function parseSchedulerJson(text: string): SchedulerJson {
  const plain = text.replace(/("(?:[^"\\]|\\.)*")|-?Infinity|NaN/g, (_, string) => string ?? "null");
  const json: unknown = JSON.parse(plain);
  if (typeof json !== "object" || json === null || Array.isArray(json)) {
    throw new SyntaxError("A scheduler_config.json must be an object");
  }
  return json as SchedulerJson;
}

/** Throws an UnsupportedScheduleError where a config asks for two spreads of sigmas at once. */
export function checkOneSpread(config: SigmaConfig): void {
  const asked = (["use_karras_sigmas", "use_exponential_sigmas", "use_beta_sigmas"] as const).filter((key) =>
    config[key]
  );
  if (asked.length < 2) return;
  throw new UnsupportedScheduleError(
    `Cannot use this scheduler_config.json: it sets ${asked.join(" and ")}, one of them at most can be true`,
  );
}
