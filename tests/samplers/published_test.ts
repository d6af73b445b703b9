/** Schedules and samplers without a trajectory of the reference, against the float64 values of their published code. */
import assert from "node:assert/strict";
import { dpmpp2sAncestral } from "../../src/samplers/dpmpp_2s_a.ts";
import { dpmpp } from "../../src/samplers/dpmpp_multistep.ts";
import { createTrajectory, schedulerNames } from "../../src/samplers/mod.ts";
import type { SigmaSchedule } from "../../src/samplers/schedule.ts";
import { type NamedScheduler, namedSigmas } from "../../src/samplers/spread.ts";
import { betaDistribution, betaQuantile } from "../../src/samplers/beta.ts";
import published from "./published.json" with { type: "json" };
import { close, run, scale } from "./textbook.ts";

/** The noise levels of SD 1.x in double precision, rounded to single once. */
const trained = (() => {
  let product = 1;
  const [from, to] = [Math.sqrt(0.00085), Math.sqrt(0.012)];
  return Float32Array.from({ length: 1000 }, (_, i) => {
    product *= 1 - (from + i * (to - from) / 999) ** 2;
    return Math.sqrt((1 - product) / product);
  });
})();

const SD15 = { beta_start: 0.00085, beta_end: 0.012, beta_schedule: "scaled_linear" };
const named = schedulerNames.filter((name): name is NamedScheduler => name !== "automatic");

Deno.test("the table is of the noise levels of SD 1.x, and of every scheduler with a name", () => {
  assert.deepEqual([0, 1, 499, 998, 999].map((i) => trained[i]), published.model_sigmas);
  assert.deepEqual(Object.keys(published.schedules).toSorted(), named.toSorted());
});

for (const name of named) {
  Deno.test(`namedSigmas() of ${name} equals A1111's for eight step counts`, () => {
    for (const [steps, expected] of Object.entries(published.schedules[name])) {
      const found = namedSigmas(name, Number(steps), trained);
      assert.equal(found.length, expected.length, `${steps} steps`);
      found.forEach((sigma, i) => {
        assert.ok(Math.abs(sigma - expected[i]) <= 1e-12 * expected[i], `${steps} steps: ${sigma}, not ${expected[i]}`);
      });
    }
  });
}

type Run = [scheduler: NamedScheduler, steps: number, eta: number, end: number];

/** The levels of an A1111 run, whose timesteps are the sigmas so that rows tell the model its noise level. */
function scheduleOf(scheduler: NamedScheduler, steps: number): SigmaSchedule {
  const sigmas = namedSigmas(scheduler, steps, trained);
  return { sigmas, timesteps: sigmas.slice(0, -1), timestepAt: (sigma) => sigma };
}

Deno.test("dpmpp2sAncestral() ends where k-diffusion's loop does, for eight step counts and three etas", () => {
  for (const [scheduler, steps, eta, end] of published.samplers.dpmpp_2s_a as Run[]) {
    const schedule = scheduleOf(scheduler, steps);
    close(run(dpmpp2sAncestral(schedule, "epsilon", { eta }), 2.5 * schedule.sigmas[0]), end, 1e-9);
  }
});

Deno.test("dpmpp() of order 3 ends where k-diffusion's loop does, for eight step counts and three etas", () => {
  for (const [scheduler, steps, eta, end] of published.samplers.dpmpp_3m_sde as Run[]) {
    const { sigmas, ...schedule } = scheduleOf(scheduler, steps + 1), last = sigmas.at(-1)!;
    const discarded = { ...schedule, sigmas: sigmas.toSpliced(-2, 1), timesteps: schedule.timesteps.slice(0, -1) };
    const rows = dpmpp(discarded, "epsilon", { order: 3, falling: last === 0 ? 1 : 0, heun: true, eta });
    close(run(rows, 2.5 * sigmas[0] / scale(sigmas[0]), scale) * scale(last), end, 1e-9);
  }
});

for (const sampler of ["dpmpp_2s_a", "dpmpp_3m_sde"] as const) {
  Deno.test(`createTrajectory() of ${sampler} is that loop with the model's own noise levels`, () => {
    for (const [scheduler, steps, eta, end] of published.samplers[sampler] as Run[]) {
      const { steps: rows, initialScale } = createTrajectory(sampler, SD15, { steps, eta, scheduler });
      const told = rows.map((row) => ({ ...row, timestep: row.level.noise / row.level.signal }));
      const isScaled = sampler === "dpmpp_3m_sde", last = scheduler === "kl_optimal" ? trained[0] : 0;
      const found = isScaled ? run(told, 2.5 * initialScale, scale) * scale(last) : run(told, 2.5 * initialScale);
      close(found, end, 1e-5);
    }
  });
}

Deno.test("betaQuantile() undoes betaDistribution(), which has known values", () => {
  // I(x; 1, 1) = x, I(x; 1, b) = 1 − (1 − x)^b, I(x; 1/2, 1/2) = 2 asin(sqrt(x)) / π.
  for (const x of [0, 1e-6, 0.1, 0.5, 0.77, 1 - 1e-6, 1]) {
    close(betaDistribution(x, 1, 1), x);
    close(betaDistribution(x, 1, 3.5), 1 - (1 - x) ** 3.5);
    close(betaDistribution(x, 0.5, 0.5), 2 * Math.asin(Math.sqrt(x)) / Math.PI);
    close(betaQuantile(betaDistribution(x, 0.6, 0.6), 0.6, 0.6), x);
    if (x < 0.9) close(betaQuantile(betaDistribution(x, 2, 5), 2, 5), x);
  }
});
