/** Every trajectory that the reference wrote: no tolerance is wider than 1e-4 of a trajectory's largest value. */
import assert from "node:assert/strict";
import { normal } from "../../src/parity/hash_weights.ts";
import { readConfig, TRAINING_RULES } from "../../src/samplers/config.ts";
import {
  createTrajectory,
  type SamplerName,
  samplerNames,
  type Trajectory,
  UnsupportedScheduleError,
} from "../../src/samplers/mod.ts";
import { alphasCumprod } from "../../src/samplers/schedule.ts";
import { type GoldenCase, index, loadGoldens, samplerOf } from "./goldens.ts";
import { runToy } from "./toy.ts";

const TOLERANCE = 1e-4;
const golden = loadGoldens();
const elements = golden("init").length;
const stored = golden("noise");

/** Draw k: stored for the first 160, by the goldens' own rule after them. */
function noise(k: number): Float32Array {
  const row = stored.subarray(k * elements, (k + 1) * elements);
  return row.length > 0 ? Float32Array.from(row) : normal(`dev/sched/noise/${k}`, elements);
}

function trajectoryOf({ kind, options, step_options, steps, strength }: GoldenCase): Trajectory {
  const { eta, s_churn: churn, s_noise: churnNoise } = step_options;
  return createTrajectory(samplerOf(kind), options, { steps, strength, eta, churn, churnNoise });
}

function startOf(one: GoldenCase, { initialScale, start }: Trajectory): Float32Array {
  const init = Float32Array.from(golden("init"));
  if (one.strength === undefined) return init.map((n) => initialScale * n);
  const clean = golden("x0");
  return init.map((n, j) => start.signal * clean[j] + start.noise * n);
}

/** Largest difference over all latents, in units of the largest golden value. */
function errorOf(one: GoldenCase): number {
  const trajectory = trajectoryOf(one);
  const latents = runToy(trajectory, startOf(one, trajectory), noise);
  const expected = golden(one.trajectory);
  const kept = one.rows ?? [0, 1, 2, Math.floor(one.steps / 2), latents.length - 1];
  const found = Array.from(kept, (i) => Array.from(latents[i])).flat();
  if (found.length !== expected.length) throw new Error(`${one.name}: ${found.length} values, not ${expected.length}`);
  return largest(found.map((value, i) => value - expected[i])) / largest(expected);
}

function largest(values: Iterable<number>): number {
  let most = 0;
  for (const value of values) most = Math.max(most, Math.abs(value));
  return most;
}

const groups = Map.groupBy(
  index.cases,
  ({ name }) => name.split(".").slice(0, name.startsWith("extra") ? 1 : 2).join("."),
);

for (const [group, cases] of groups) {
  Deno.test(`createTrajectory() gives the reference's latents in all ${cases.length} cases of ${group}`, () => {
    for (const one of cases) {
      const error = errorOf(one);
      assert.ok(error <= TOLERANCE, `${one.name}: ${error.toExponential(1)} of the largest value`);
    }
  });

  Deno.test(`createTrajectory() gives the reference's timesteps and first scale in all cases of ${group}`, () => {
    for (const one of cases) {
      const { steps, initialScale } = trajectoryOf(one);
      const found = steps.map(({ timestep }) => timestep);
      const expected = Array.from(golden(one.timesteps));
      assert.equal(found.length, expected.length, one.name);
      found.forEach((timestep, i) => assert.ok(Math.abs(timestep - expected[i]) < 1e-3, `${one.name}: step ${i}`));
      assert.ok(Math.abs(initialScale / one.init_noise_sigma - 1) < 1e-6, `${one.name}: ${initialScale}`);
    }
  });
}

Deno.test("the goldens have cases of every sampler that the reference has", () => {
  const found = new Set(index.cases.map(({ kind }) => samplerOf(kind)));
  const own: SamplerName[] = ["dpmpp_2s_a", "dpmpp_3m_sde", "dpmpp_2m_sde_heun"];
  assert.deepEqual(samplerNames.filter((name) => !found.has(name)).toSorted(), own.toSorted());
});

Deno.test("DPM++ 2M SDE Heun is DPM++ 2M SDE with the solver type of its name", () => {
  const { options, steps } = index.cases.find(({ name }) => name === "extra.dpmpp_2m_sde_heun")!;
  const { solver_type: _, ...others } = options;
  assert.deepEqual(
    createTrajectory("dpmpp_2m_sde_heun", others, { steps }),
    createTrajectory("dpmpp_2m_sde", options, { steps }),
  );
});

Deno.test("createTrajectory() refuses what the reference refuses", () => {
  assert.ok(index.unsupported.length > 0);
  for (const { name, options, steps } of index.unsupported) {
    const [kind, rest] = name.split(".");
    const sampler = samplerOf(kind === "extra" ? rest.split("_")[0] : kind);
    assert.throws(() => createTrajectory(sampler, options, { steps }), UnsupportedScheduleError, name);
  }
});

for (const [kind, rows] of Object.entries(index.add_noise_20_steps)) {
  Deno.test(`createTrajectory() starts image-to-image at every index as the reference's add_noise of ${kind} does`, () => {
    const options = index.cases.find(({ name }) => name === `${kind}.img2img.0.5.20`)!.options;
    const [clean, init] = [golden("x0"), golden("init")];
    for (const { index, output } of rows) {
      // Heun lists all timesteps but the first twice.
      const step = kind === "heun" ? Math.ceil(index / 2) : index;
      const { start } = createTrajectory(samplerOf(kind), options, { steps: 20, strength: (20 - step) / 20 });
      const expected = golden(output);
      const differences = expected.map((value, j) => start.signal * clean[j] + start.noise * init[j] - value);
      assert.ok(largest(differences) <= 1e-6 * largest(expected), `index ${index}: ${largest(differences)}`);
    }
  });
}

const BETAS = { beta_start: 0.00085, beta_end: 0.012, beta_schedule: "scaled_linear" };

Deno.test("alphasCumprod() equals the reference's to the bit", () => {
  const found = alphasCumprod(readConfig(BETAS, TRAINING_RULES, "ddim"));
  assert.deepEqual(Float64Array.from(found), golden("alphas_cumprod"));
});

Deno.test("alphasCumprod() with a zero terminal signal-to-noise ratio equals the reference's to 1e-6 of 1", () => {
  const found = alphasCumprod(readConfig({ ...BETAS, rescale_betas_zero_snr: true }, TRAINING_RULES, "ddim"));
  const expected = golden("alphas_cumprod_zero_snr");
  assert.equal(found.length, expected.length);
  assert.equal(found.at(-1), 0);
  found.forEach((value, i) => assert.ok(Math.abs(value - expected[i]) <= 1e-6, `timestep ${i}`));
});
