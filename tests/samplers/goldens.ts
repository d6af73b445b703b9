import { openCheckpoint } from "../../src/checkpoint/safetensors.ts";
import type { SamplerName, SchedulerJson } from "../../src/samplers/mod.ts";

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

/** The sampler that runs a kind of golden. */
export const SAMPLER_OF: Record<string, SamplerName> = {
  ddpm: "ddpm",
  ddim: "ddim",
  ddim_eta1: "ddim",
  euler: "euler",
  euler_a: "euler_a",
  dpmpp_2m: "dpmpp_2m",
};

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
