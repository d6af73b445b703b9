/** What samplers and schedulers are called: here, in A1111 and its clients, and in the reference. */

/** A sampler's native name. */
export type SamplerName =
  | "euler"
  | "euler_a"
  | "heun"
  | "lms"
  | "dpm2"
  | "dpm2_a"
  | "dpmpp_2m"
  | "dpmpp_2m_sde"
  | "dpmpp_2m_sde_heun"
  | "dpmpp_3m_sde"
  | "dpmpp_2s"
  | "dpmpp_2s_a"
  | "dpmpp_sde"
  | "deis"
  | "unipc"
  | "ddim"
  | "ddpm"
  | "pndm"
  | "lcm"
  | "tcd";

/** How sigmas are spread: as the model says, or by one of A1111's functions of the steps and the largest and smallest. */
export type SchedulerName =
  | "automatic"
  | "uniform"
  | "karras"
  | "exponential"
  | "polyexponential"
  | "sgm_uniform"
  | "kl_optimal"
  | "align_your_steps"
  | "simple"
  | "normal"
  | "ddim"
  | "beta";

interface Names {
  /** As infotexts and A1111's lists show it. */
  label: string;
  aliases: readonly string[];
}

interface SamplerNames extends Names {
  /** Whether it steps over sigmas, so that a scheduler can be named for it. */
  hasSigmas: boolean;
  /** Share of the noise that a step replaces where a request says none; absent where a sampler has no choice. */
  eta?: number;
}

const SAMPLERS: Record<SamplerName, SamplerNames> = {
  euler: { label: "Euler", aliases: ["k_euler", "EulerDiscreteScheduler"], hasSigmas: true },
  euler_a: {
    label: "Euler a",
    aliases: ["k_euler_a", "k_euler_ancestral", "euler_ancestral", "EulerAncestralDiscreteScheduler"],
    hasSigmas: true,
    eta: 1,
  },
  heun: { label: "Heun", aliases: ["k_heun", "HeunDiscreteScheduler"], hasSigmas: true },
  lms: { label: "LMS", aliases: ["k_lms", "LMSDiscreteScheduler"], hasSigmas: true },
  dpm2: { label: "DPM2", aliases: ["k_dpm_2", "KDPM2", "KDPM2DiscreteScheduler"], hasSigmas: true },
  dpm2_a: {
    label: "DPM2 a",
    aliases: ["k_dpm_2_a", "k_dpm_2_ancestral", "dpm_2_ancestral", "KDPM2AncestralDiscreteScheduler"],
    hasSigmas: true,
    eta: 1,
  },
  dpmpp_2m: { label: "DPM++ 2M", aliases: ["k_dpmpp_2m", "DPMSolverMultistepScheduler"], hasSigmas: true },
  dpmpp_2m_sde: { label: "DPM++ 2M SDE", aliases: ["k_dpmpp_2m_sde"], hasSigmas: true, eta: 1 },
  dpmpp_2m_sde_heun: { label: "DPM++ 2M SDE Heun", aliases: ["k_dpmpp_2m_sde_heun"], hasSigmas: true, eta: 1 },
  dpmpp_3m_sde: { label: "DPM++ 3M SDE", aliases: ["k_dpmpp_3m_sde"], hasSigmas: true, eta: 1 },
  dpmpp_2s: { label: "DPM++ 2S", aliases: ["dpmpp_singlestep", "DPMSolverSinglestepScheduler"], hasSigmas: true },
  dpmpp_2s_a: {
    label: "DPM++ 2S a",
    aliases: ["k_dpmpp_2s_a", "k_dpmpp_2s_ancestral", "dpmpp_2s_ancestral"],
    hasSigmas: true,
    eta: 1,
  },
  dpmpp_sde: { label: "DPM++ SDE", aliases: ["k_dpmpp_sde", "DPMSolverSDEScheduler"], hasSigmas: true, eta: 1 },
  deis: { label: "DEIS", aliases: ["DEISMultistepScheduler"], hasSigmas: true },
  unipc: { label: "UniPC", aliases: ["uni_pc", "UniPCMultistepScheduler"], hasSigmas: true },
  ddim: { label: "DDIM", aliases: ["DDIMScheduler"], hasSigmas: false, eta: 0 },
  ddpm: { label: "DDPM", aliases: ["DDPMScheduler"], hasSigmas: false },
  pndm: { label: "PLMS", aliases: ["PNDM", "PNDMScheduler"], hasSigmas: false },
  lcm: { label: "LCM", aliases: ["k_lcm", "LCMScheduler"], hasSigmas: false },
  tcd: { label: "TCD", aliases: ["TCDScheduler"], hasSigmas: false, eta: 0.3 },
};

const SCHEDULERS: Record<SchedulerName, Names> = {
  automatic: { label: "Automatic", aliases: [] },
  uniform: { label: "Uniform", aliases: [] },
  karras: { label: "Karras", aliases: [] },
  exponential: { label: "Exponential", aliases: [] },
  polyexponential: { label: "Polyexponential", aliases: [] },
  sgm_uniform: { label: "SGM Uniform", aliases: [] },
  kl_optimal: { label: "KL Optimal", aliases: [] },
  align_your_steps: { label: "Align Your Steps", aliases: [] },
  simple: { label: "Simple", aliases: [] },
  normal: { label: "Normal", aliases: [] },
  ddim: { label: "DDIM", aliases: ["ddim_uniform"] },
  beta: { label: "Beta", aliases: [] },
};

/** How A1111's older aliases of composite names end: "k_dpmpp_2m_ka". */
const ENDINGS: readonly [string, SchedulerName][] = [["ka", "karras"], ["exp", "exponential"]];

/** All samplers by their native names. */
export const samplerNames = Object.keys(SAMPLERS) as readonly SamplerName[];

/** All schedulers by their native names. */
export const schedulerNames = Object.keys(SCHEDULERS) as readonly SchedulerName[];

/** Samplers that a scheduler can be named for. */
export const samplersWithSigmas: readonly SamplerName[] = samplerNames.filter((name) => SAMPLERS[name].hasSigmas);

/** Whether a scheduler can be asked of a sampler. */
export function goTogether(sampler: SamplerName, scheduler: SchedulerName): boolean {
  return scheduler === "automatic" || SAMPLERS[sampler].hasSigmas;
}

/** The stochasticity of a sampler where a request names none, 0 to 1; 0 too where it has none to choose. */
export function defaultEta(sampler: SamplerName): number {
  return SAMPLERS[sampler].eta ?? 0;
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
  const endings = schedulerNames.map((scheduler) => [plain(scheduler), scheduler] as const);
  for (const [ending, scheduler] of [...endings, ...ENDINGS]) {
    const sampler = name.endsWith(ending) ? lookUp(SAMPLERS, name.slice(0, -ending.length)) : undefined;
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

function lookUp<Name extends string>(table: Readonly<Record<Name, Names>>, name: string): Name | undefined {
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
