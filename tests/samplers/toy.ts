import type { Step, Trajectory } from "../../src/samplers/mod.ts";

/** m(x, t)[j] = 0.35 x[j] + 0.25 sin(t / 157 + 0.1 j) + 0.1 tanh(x[j]): the denoiser of the scheduler goldens. */
export function toyModel(x: Float32Array, timestep: number): Float32Array {
  return x.map((value, j) => 0.35 * value + 0.25 * Math.sin(timestep / 157 + 0.1 * j) + 0.1 * Math.tanh(value));
}

/** Plain loops of what `Step` says, latents and predictions in single precision: the latents before each step and last. */
export function runToy({ steps }: Trajectory, start: Float32Array, noise: (k: number) => Float32Array): Float32Array[] {
  let draws = 0;
  let saved = start;
  const all = [start];
  const history: Float32Array[] = [];
  for (const step of steps) {
    const latents = all.at(-1)!;
    const output = toyModel(latents.map((value) => step.inputScale * value), step.timestep);
    const raw = latents.map((value, j) => step.skip * value + step.out * output[j]);
    history.unshift(clipped(raw, step));
    if (step.saves) saved = latents;
    const n = step.noise === 0 ? undefined : noise(draws++);
    all.push(latents.map((value, j) => {
      const predicted = step.denoised.reduce((sum, weight, k) => weight ? sum + weight * history[k][j] : sum, 0);
      const fromSaved = (step.fromSaved ?? 0) * saved[j];
      return step.x * value + predicted + fromSaved + (step.unclipped ?? 0) * raw[j] + step.noise * (n?.[j] ?? 0);
    }));
  }
  return all;
}

function clipped(raw: Float32Array, { clip }: Step): Float32Array {
  return clip === undefined ? raw : raw.map((value) => Math.min(Math.max(value, -clip), clip));
}
