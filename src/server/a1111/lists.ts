/** What A1111's clients ask for before they draw anything: what there is, and empty lists of what there is not. */
import type { EmbeddingEntry } from "../../engine/embeddings.ts";
import type { MemoryReport } from "../../engine/protocol.ts";
import {
  samplerAliases,
  samplerLabel,
  type SamplerName,
  samplerNames,
  schedulerLabel,
  schedulerNames,
} from "../../samplers/names.ts";

/** "Euler a" for "euler_a". */
export function samplerLabelOf(name: SamplerName): string {
  return samplerLabel(name);
}

/** The answer of `samplers`. */
export function samplers() {
  return samplerNames.map((name) => ({
    name: samplerLabel(name),
    aliases: [name, ...samplerAliases(name)],
    options: {},
  }));
}

/** The answer of `schedulers`. */
export function schedulers() {
  return schedulerNames.map((name) => ({
    name,
    label: schedulerLabel(name),
    aliases: null,
    default_rho: -1,
    need_inner_model: false,
  }));
}

/** The answer of `sd-models` for models by their names. */
export function models(entries: readonly { name: string; path: string }[]) {
  return entries.map(({ name }) => ({
    title: titleOf(name),
    model_name: name,
    hash: null,
    sha256: null,
    filename: `${name}.safetensors`,
    config: null,
  }));
}

/** A model as A1111's clients name it. */
export function titleOf(name: string): string {
  return `${name}.safetensors`;
}

/**
 * The answer of `embeddings`: those that the text encoder of a model reads, and those that are for another. No file says
 * at which step of its training it was made, or with which checkpoint.
 */
export function embeddings(entries: readonly EmbeddingEntry[], { textWidth }: { textWidth: number }) {
  const described = (these: readonly EmbeddingEntry[]) =>
    Object.fromEntries(
      these.map(({ name, width: shape, vectors }) => [
        name,
        { step: null, sd_checkpoint: null, sd_checkpoint_name: null, shape, vectors },
      ]),
    );
  return {
    loaded: described(entries.filter(({ width }) => width === textWidth)),
    skipped: described(entries.filter(({ width }) => width !== textWidth)),
  };
}

/** Device memory as the answer of `memory` has CUDA's; empty where nothing is known yet. */
export function deviceMemory(memory: MemoryReport | undefined) {
  if (!memory) return {};
  const { budget: total = memory.peak, used, peak } = memory, pool = { current: used, peak };
  return {
    system: { free: Math.max(0, total - used), used, total },
    active: pool,
    allocated: pool,
    reserved: pool,
    inactive: { current: 0, peak: 0 },
    events: { retries: memory.evictions, oom: 0 },
  };
}

/** Upscaling is not done here: the first entry, which A1111 has too, stands for that. */
export const upscalers = [{ name: "None", model_name: null, model_path: null, model_url: null, scale: 4 }];

export const latentUpscaleModes = [
  "Latent",
  "Latent (antialiased)",
  "Latent (bicubic)",
  "Latent (bicubic antialiased)",
  "Latent (nearest)",
  "Latent (nearest-exact)",
].map((name) => ({ name }));

/** Paths whose answer is a list, and nothing is in it. */
export const emptyLists = [
  "loras",
  "hypernetworks",
  "face-restorers",
  "realesrgan-models",
  "prompt-styles",
  "extensions",
  "script-info",
  "sd-vae",
  "sd-modules",
];
