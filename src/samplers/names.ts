/** What samplers and schedulers are called: here, in A1111 and its clients, and in the reference. */

/** A sampler's native name. */
export type SamplerName = "ddpm" | "ddim" | "euler" | "euler_a" | "dpmpp_2m";

/** How sigmas are spread: as the model says, Karras's, or at the training schedule's own timesteps. */
export type SchedulerName = "automatic" | "karras" | "normal" | "uniform";

interface Names {
  /** As infotexts and A1111's lists show it. */
  label: string;
  aliases: readonly string[];
}

const SAMPLERS: Record<SamplerName, Names> = {
  ddpm: { label: "DDPM", aliases: ["DDPMScheduler"] },
  ddim: { label: "DDIM", aliases: ["DDIMScheduler"] },
  euler: { label: "Euler", aliases: ["k_euler", "EulerDiscreteScheduler"] },
  euler_a: {
    label: "Euler a",
    aliases: ["k_euler_a", "k_euler_ancestral", "euler_ancestral", "EulerAncestralDiscreteScheduler"],
  },
  dpmpp_2m: { label: "DPM++ 2M", aliases: ["k_dpmpp_2m", "DPMSolverMultistepScheduler"] },
};

const SCHEDULERS: Record<SchedulerName, Names> = {
  automatic: { label: "Automatic", aliases: [] },
  karras: { label: "Karras", aliases: [] },
  normal: { label: "Normal", aliases: [] },
  uniform: { label: "Uniform", aliases: [] },
};

/** All samplers by their native names. */
export const samplerNames = Object.keys(SAMPLERS) as readonly SamplerName[];

/** All schedulers by their native names. */
export const schedulerNames = Object.keys(SCHEDULERS) as readonly SchedulerName[];

/** Samplers that a sigma schedule, such as Karras's, can be chosen for. */
export const samplersWithSigmas: readonly SamplerName[] = ["euler", "dpmpp_2m"];

/** Whether a scheduler can be asked of a sampler. */
export function goTogether(sampler: SamplerName, scheduler: SchedulerName): boolean {
  return scheduler !== "karras" || samplersWithSigmas.includes(sampler);
}

/** A name that no sampler has, as one sentence with the nearest ones. */
export class UnknownSamplerError extends RangeError {
  override name = "UnknownSamplerError";
}

/** A name that no scheduler has, as one sentence with all there are. */
export class UnknownSchedulerError extends RangeError {
  override name = "UnknownSchedulerError";
}

/** "DPM++ 2M" for "dpmpp_2m", as infotexts write it. */
export function samplerLabel(name: SamplerName): string {
  return SAMPLERS[name].label;
}

/** Further names of a sampler. */
export function samplerAliases(name: SamplerName): readonly string[] {
  return SAMPLERS[name].aliases;
}

/** "Karras" for "karras", as infotexts write it. */
export function schedulerLabel(name: SchedulerName): string {
  return SCHEDULERS[name].label;
}

/**
 * The sampler that is called `text` natively, in A1111 or in the reference; letter case, spaces, hyphens and underscores
 * do not count. Names that end in a scheduler's ("DPM++ 2M Karras") give that as well.
 * Throws an UnknownSamplerError that lists the nearest names.
 * @example findSampler("k_dpmpp_2m") // { sampler: "dpmpp_2m" }
 */
export function findSampler(text: string): { sampler: SamplerName; scheduler?: SchedulerName } {
  const name = plain(text);
  const sampler = lookUp(SAMPLERS, name);
  if (sampler) return { sampler };
  for (const scheduler of schedulerNames) {
    const sampler = name.endsWith(scheduler) ? lookUp(SAMPLERS, name.slice(0, -scheduler.length)) : undefined;
    if (sampler) return { sampler, scheduler };
  }
  const near = samplerNames.toSorted((a, b) => farness(a) - farness(b)).slice(0, 2);
  throw new UnknownSamplerError(
    `There is no sampler ${show(text)}: the nearest are ${near.join(" and ")}, and all are ${samplerNames.join(", ")}`,
  );

  function farness(candidate: SamplerName): number {
    const { label, aliases } = SAMPLERS[candidate];
    return Math.min(...[candidate, label, ...aliases].map((other) => editDistance(name.slice(0, 40), plain(other))));
  }
}

/** The scheduler that is called `text`. Throws an UnknownSchedulerError that lists all. */
export function findScheduler(text: string): SchedulerName {
  const scheduler = lookUp(SCHEDULERS, plain(text));
  if (scheduler) return scheduler;
  throw new UnknownSchedulerError(`There is no scheduler ${show(text)}: use one of ${schedulerNames.join(", ")}`);
}

function lookUp<Name extends string>(table: Record<Name, Names>, name: string): Name | undefined {
  return (Object.keys(table) as Name[]).find((key) =>
    [key, table[key].label, ...table[key].aliases].some((other) => plain(other) === name)
  );
}

function plain(text: string): string {
  return text.toLowerCase().replace(/[\s_-]+/g, "");
}

function show(text: string): string {
  return JSON.stringify(text.length > 60 ? text.slice(0, 60) + "…" : text);
}

/** Levenshtein's distance: how many characters to insert, delete or replace. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      next[j] = Math.min(row[j] + 1, next[j - 1] + 1, row[j - 1] + Number(a[i - 1] !== b[j - 1]));
    }
    row = next;
  }
  return row[b.length];
}
