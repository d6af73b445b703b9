import { openCheckpoint } from "../../src/checkpoint/safetensors.ts";
import { findSampler, type SamplerName, type SchedulerJson } from "../../src/samplers/mod.ts";

/** One trajectory that the reference wrote; strings that are not names of its own name tensors. */
export interface GoldenCase {
  name: string;
  kind: string;
  options: SchedulerJson;
  step_options: Record<string, number>;
  steps: number;
  init_noise_sigma: number;
  timesteps: string;
  trajectory: string;
  /** Which of the latents before each row and last are stored; of more than 100 steps without it a few. */
  rows?: number[];
  strength?: number;
}

/** `add_noise` of one scheduler at one index of 20 steps. */
export interface GoldenNoise {
  index: number;
  output: string;
}

export interface GoldenIndex {
  cases: GoldenCase[];
  unsupported: Pick<GoldenCase, "name" | "options" | "steps">[];
  add_noise_20_steps: Record<string, GoldenNoise[]>;
}

/** The sampler that runs a kind of golden, where it has another name. */
const RENAMED: Record<string, SamplerName> = { ddim_eta1: "ddim", kdpm2: "dpm2", kdpm2_a: "dpm2_a" };

/** The sampler that runs a kind of golden. */
export function samplerOf(kind: string): SamplerName {
  return RENAMED[kind] ?? findSampler(kind).sampler;
}

const folder = new URL("../oracle/goldens/", import.meta.url).pathname;

export const index: GoldenIndex = JSON.parse(Deno.readTextFileSync(`${folder}schedulers.json`));

/** Float tensors of the goldens by name, flat, as doubles. */
export function loadGoldens(): (name: string) => Float64Array<ArrayBuffer> {
  const checkpoint = openCheckpoint(`${folder}schedulers.safetensors`, { map: false });
  return (name) => {
    const { dtype } = checkpoint.tensors.get(name)!;
    return dtype === "f64"
      ? new Float64Array(checkpoint.bytes(name).buffer)
      : Float64Array.from(checkpoint.floats(name));
  };
}
