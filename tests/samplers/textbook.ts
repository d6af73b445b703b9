/** What textbook loops in doubles and rows of numbers are compared on. */
import assert from "node:assert/strict";
import type { Step } from "../../src/samplers/mod.ts";
import type { SigmaSchedule } from "../../src/samplers/schedule.ts";
import { karrasSigmas } from "../../src/samplers/spread.ts";

/** A prediction of the clean latents that is not linear in x = clean + sigma · ε. */
export const denoise = (x: number, sigma: number) => 0.8 * Math.tanh(x / (1 + sigma)) + 0.1 * Math.sin(3 * sigma);

/** Draw k. */
export const noise = (k: number) => Math.sin(12.9898 * (k + 1)) * 1.7;

/** The same model as an ε prediction: D = x − sigma · ε. */
export const epsilon = (x: number, sigma: number) => (x - denoise(x, sigma)) / sigma;

export const steps = 12;

/** Twelve steps whose timesteps are their sigmas, so that rows tell the model its noise level. */
export const schedule: SigmaSchedule = (() => {
  const sigmas = karrasSigmas({ min: 0.03, max: 14.6, steps });
  return { timesteps: sigmas, sigmas: [...sigmas, 0], timestepAt: (sigma) => sigma };
})();

/** x of the first row, in sigma space. */
export const start = 9.3;

/** What variance-preserving latents are multiplied by to be clean + sigma · ε. */
export const scale = (sigma: number) => Math.sqrt(sigma ** 2 + 1);

/** Runs rows for an ε prediction whose `timestep` is their sigma; `scale` of a sigma turns its latents into sigma space. */
export function run(rows: readonly Step[], start: number, scale = (_: number) => 1): number {
  let x = start;
  let saved = NaN;
  let draws = 0;
  const history: number[] = [];
  for (const row of rows) {
    const sigma = row.timestep;
    history.unshift(row.skip * x + row.out * epsilon(x * scale(sigma), sigma));
    if (row.saves) saved = x;
    const predicted = row.denoised.reduce((sum, weight, k) => weight === 0 ? sum : sum + weight * history[k], 0);
    x = row.x * x + predicted + (row.fromSaved ? row.fromSaved * saved : 0) +
      (row.noise === 0 ? 0 : row.noise * noise(draws++));
  }
  return x;
}

/** The end of variance-preserving rows, which is clean where the last sigma is 0. */
export function runScaled(rows: readonly Step[]): number {
  return run(rows, start / scale(schedule.sigmas[0]), scale);
}

export function close(found: number, expected: number, tolerance = 1e-12): void {
  assert.ok(Math.abs(found - expected) < tolerance * Math.max(1, Math.abs(expected)), `${found}, not ${expected}`);
}
