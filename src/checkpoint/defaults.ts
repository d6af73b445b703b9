import { CheckpointError } from "./error.ts";

/** What requests should use where they name nothing, as a model folder's `defaults.json` says; any field may be missing. */
export interface FolderDefaults {
  /** Pixels; multiples of 8. */
  readonly width?: number;
  readonly height?: number;
  readonly steps?: number;
  /** Weight of the conditional over the unconditional prediction. */
  readonly cfg_scale?: number;
  readonly sampler?: string;
  readonly scheduler?: string;
}

type Rule = readonly [wanted: string, holds: (value: unknown) => boolean];

const SIDE: Rule = ["a multiple of 8 above 0", (value) => isNumber(value) && value > 0 && value % 8 === 0];
const NAME: Rule = ["a name", (value) => typeof value === "string" && value !== ""];
const RULES: Readonly<Record<keyof FolderDefaults, Rule>> = {
  width: SIDE,
  height: SIDE,
  steps: ["a whole number above 0", (value) => isNumber(value) && value > 0 && Number.isInteger(value)],
  cfg_scale: ["a number, 0 or more", (value) => isNumber(value) && value >= 0],
  sampler: NAME,
  scheduler: NAME,
};

/** Checks a `defaults.json`, already parsed from `path`. Throws a CheckpointError naming the first field that is wrong. */
export function checkDefaults(path: string, fields: Readonly<Record<string, unknown>>): FolderDefaults {
  for (const [field, value] of Object.entries(fields)) {
    const rule = Object.hasOwn(RULES, field) ? RULES[field as keyof FolderDefaults] : undefined;
    const names = Object.keys(RULES).join(", ");
    if (!rule) throw new CheckpointError(`Cannot read ${path}: it has "${field}", but may only have ${names}`);
    const [wanted, holds] = rule;
    if (!holds(value)) {
      throw new CheckpointError(`Cannot read ${path}: "${field}" is ${JSON.stringify(value)}, not ${wanted}`);
    }
  }
  return fields;
}

function isNumber(value: unknown): value is number {
  return typeof value === "number" && Number.isFinite(value);
}
