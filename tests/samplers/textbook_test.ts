/** Each sampler of sigma space against its textbook loop in doubles, as k-diffusion writes it. */
import assert from "node:assert/strict";
import { dpmpp } from "../../src/samplers/dpmpp_2m.ts";
import { euler } from "../../src/samplers/euler.ts";
import { eulerAncestral } from "../../src/samplers/euler_a.ts";
import { karrasSigmas, type SigmaSchedule } from "../../src/samplers/schedule.ts";
import type { Step } from "../../src/samplers/mod.ts";

/** A prediction of the clean latents that is not linear in x. */
const denoise = (x: number, sigma: number) => 0.8 * Math.tanh(x / (1 + sigma)) + 0.1 * Math.sin(3 * sigma);

/** Draw k. */
const noise = (k: number) => Math.sin(12.9898 * (k + 1)) * 1.7;

/** The sampler's model as an ε prediction: D = x − sigma · ε. */
const epsilon = (x: number, sigma: number) => (x - denoise(x, sigma)) / sigma;

const steps = 12;
const schedule: SigmaSchedule = {
  timesteps: Array.from({ length: steps }, (_, i) => i),
  sigmas: [...karrasSigmas({ min: 0.03, max: 14.6, steps }), 0],
};

/** Runs rows whose `timestep` is the index of their sigma; `scale` of a sigma turns its latents into clean + sigma · ε. */
function run(rows: Step[], start: number, scale = (_: number) => 1): number {
  let x = start;
  let draws = 0;
  const history: number[] = [];
  for (const row of rows) {
    const sigma = schedule.sigmas[row.timestep];
    history.unshift(row.skip * x + row.out * epsilon(x * scale(sigma), sigma));
    const predicted = row.denoised.reduce((sum, weight, k) => sum + weight * history[k], 0);
    x = row.x * x + predicted + (row.noise === 0 ? 0 : row.noise * noise(draws++));
  }
  return x;
}

function close(found: number, expected: number): void {
  assert.ok(Math.abs(found - expected) < 1e-12 * Math.max(1, Math.abs(expected)), `${found}, not ${expected}`);
}

const start = 9.3;

Deno.test("euler() equals algorithm 2 of Karras et al. without churn", () => {
  const { sigmas } = schedule;
  let x = start;
  for (let i = 0; i < steps; i++) {
    const derivative = (x - denoise(x, sigmas[i])) / sigmas[i];
    x += derivative * (sigmas[i + 1] - sigmas[i]);
  }
  close(run(euler(schedule, "epsilon"), start), x);
});

Deno.test("eulerAncestral() equals k-diffusion's sample_euler_ancestral with eta 1", () => {
  const { sigmas } = schedule;
  let x = start;
  for (let i = 0; i < steps; i++) {
    const [from, to] = [sigmas[i], sigmas[i + 1]];
    const up = Math.min(to, Math.sqrt(to ** 2 * (from ** 2 - to ** 2) / from ** 2));
    const down = Math.sqrt(to ** 2 - up ** 2);
    x += (x - denoise(x, from)) / from * (down - from);
    if (to > 0) x += noise(i) * up;
  }
  close(run(eulerAncestral(schedule, "epsilon"), start), x);
});

Deno.test("dpmpp() of order 2 equals k-diffusion's sample_dpmpp_2m in variance-preserving latents", () => {
  const { sigmas } = schedule;
  const time = (sigma: number) => -Math.log(sigma);
  let x = start;
  let last: number | undefined;
  for (let i = 0; i < steps; i++) {
    const denoised = denoise(x, sigmas[i]);
    const h = time(sigmas[i + 1]) - time(sigmas[i]);
    let direction = denoised;
    if (last !== undefined && sigmas[i + 1] > 0) {
      const r = (time(sigmas[i]) - time(sigmas[i - 1])) / h;
      direction = (1 + 1 / (2 * r)) * denoised - 1 / (2 * r) * last;
    }
    x = sigmas[i + 1] / sigmas[i] * x - Math.expm1(-h) * direction;
    last = denoised;
  }
  const scale = (sigma: number) => Math.sqrt(sigma ** 2 + 1);
  const rows = dpmpp(schedule, "epsilon", { order: 2, falling: 1 });
  close(run(rows, start / scale(sigmas[0]), scale), x);
});

Deno.test("dpmpp() of order 1 equals euler() step for step", () => {
  const scale = (sigma: number) => Math.sqrt(sigma ** 2 + 1);
  const found = run(dpmpp(schedule, "epsilon", { order: 1, falling: 0 }), start / scale(schedule.sigmas[0]), scale);
  close(found, run(euler(schedule, "epsilon"), start));
});
