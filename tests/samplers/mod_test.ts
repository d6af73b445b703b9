import assert from "node:assert/strict";
import { HISTORY_SLOTS } from "../../src/ops/latents.ts";
import { placeHistory } from "../../src/samplers/history.ts";
import {
  createTrajectory,
  defaultEta,
  parseSchedulerJson,
  type SamplerName,
  samplerNames,
  samplersWithSigmas,
  type SchedulerJson,
  schedulerNames,
  UnsupportedScheduleError,
} from "../../src/samplers/mod.ts";

const SD15: SchedulerJson = {
  beta_start: 0.00085,
  beta_end: 0.012,
  beta_schedule: "scaled_linear",
  clip_sample: false,
  set_alpha_to_one: false,
  steps_offset: 1,
  skip_prk_steps: true,
};

const timesteps = (...args: Parameters<typeof createTrajectory>) =>
  createTrajectory(...args).steps.map(({ timestep }) => timestep);

/** Samplers that call the model twice a step, but for the last, which ends at 0. */
const TWO_STAGES: readonly SamplerName[] = ["heun", "dpm2", "dpm2_a", "dpmpp_2s_a", "dpmpp_sde"];
const isDistilled = (name: SamplerName) => name === "lcm" || name === "tcd";

function rowsOf(name: SamplerName, steps: number): number {
  if (TWO_STAGES.includes(name)) return 2 * steps - 1;
  return name === "pndm" && steps > 1 ? steps + 1 : steps;
}

for (const name of samplerNames) {
  const most = isDistilled(name) ? 50 : 150;

  Deno.test(`createTrajectory() of ${name} runs any number of steps from 1 to ${most} in every spacing`, () => {
    for (const timestep_spacing of ["leading", "trailing", "linspace"]) {
      for (let steps = 1; steps <= most; steps++) {
        const trajectory = createTrajectory(name, { ...SD15, timestep_spacing }, { steps });
        assert.equal(trajectory.steps.length, rowsOf(name, steps));
        assert.equal(placeHistory(trajectory.steps, HISTORY_SLOTS).length, trajectory.steps.length);
      }
    }
  });

  Deno.test(`createTrajectory() of ${name} says what its latents hold before every row, the most noise first`, () => {
    const { start, steps } = createTrajectory(name, SD15, { steps: 12, strength: 0.5 });
    assert.deepEqual(steps[0].level, start);
    const levels = steps.map(({ level: { signal, noise } }) => noise / signal);
    assert.ok(levels.every((level) => level <= levels[0]));
  });

  Deno.test(`createTrajectory() of ${name} refuses steps that are no whole number from 1 to training's`, () => {
    for (const steps of [0, -1, 1.5, NaN, 1001, 1e9]) {
      assert.throws(() => createTrajectory(name, SD15, { steps }), {
        name: "RangeError",
        message: new RegExp(`${steps}`),
      });
    }
  });

  Deno.test(`createTrajectory() of ${name} gives finite numbers or a sentence up to training's last step`, () => {
    for (const steps of [499, 500, 667, 999, 1000]) {
      for (const timestep_spacing of ["leading", "trailing", "linspace"]) {
        try {
          createTrajectory(name, { ...SD15, timestep_spacing }, { steps });
        } catch (error) {
          assert.ok(error instanceof UnsupportedScheduleError && error.message.includes(`${steps} steps`), `${error}`);
        }
      }
    }
  });

  Deno.test(`createTrajectory() of ${name} runs the last steps of the whole schedule in image-to-image`, () => {
    const all = timesteps(name, SD15, { steps: 20 }), rows = TWO_STAGES.includes(name) ? 2 : 1;
    assert.deepEqual(timesteps(name, SD15, { steps: 20, strength: 0.5 }), all.slice(10 * rows));
    assert.deepEqual(timesteps(name, SD15, { steps: 20, strength: 0.76 }), all.slice(5 * rows));
    assert.deepEqual(timesteps(name, SD15, { steps: 20, strength: 1 }), all);
  });
}

Deno.test("createTrajectory() refuses a strength that runs no step, or is none", () => {
  assert.throws(() => createTrajectory("euler", SD15, { steps: 20, strength: 0.04 }), /at least 0\.05/);
  for (const strength of [0, -1, 1.01, NaN]) {
    assert.throws(() => createTrajectory("euler", SD15, { steps: 20, strength }), RangeError);
  }
});

Deno.test("createTrajectory() refuses an eta outside 0 to 1", () => {
  for (const eta of [-0.1, 1.1, NaN]) {
    assert.throws(() => createTrajectory("ddim", SD15, { steps: 4, eta }), RangeError);
  }
});

Deno.test("createTrajectory() gives absent keys the defaults of each sampler's own class", () => {
  const first = (name: typeof samplerNames[number]) => createTrajectory(name, {}, { steps: 10 }).steps[0];
  assert.equal(first("ddpm").timestep, 900);
  assert.equal(first("ddim").timestep, 900);
  for (const name of ["euler", "euler_a", "dpmpp_2m"] as const) assert.equal(first(name).timestep, 999);
  assert.equal(first("ddpm").clip, 1);
  assert.equal(first("ddim").clip, 1);
  assert.equal(first("euler").clip, undefined);
});

Deno.test("createTrajectory() takes sigmas from a named scheduler whatever the config spreads them by", () => {
  for (const name of samplersWithSigmas) {
    for (const scheduler of schedulerNames.slice(1)) {
      const named = createTrajectory(name, SD15, { steps: 8, scheduler });
      const config = {
        ...SD15,
        ...{ use_karras_sigmas: true, timestep_spacing: "trailing", lower_order_final: false, euler_at_final: true },
      };
      assert.deepEqual(createTrajectory(name, config, { steps: 8, scheduler }), named, `${name}, ${scheduler}`);
      assert.notDeepEqual(createTrajectory(name, SD15, { steps: 8 }), named);
    }
  }
});

Deno.test("createTrajectory() of samplers and schedulers in every pair runs 1 to 150 steps, or says why not", () => {
  for (const name of samplersWithSigmas) {
    for (const scheduler of schedulerNames.slice(1)) {
      for (const steps of [1, 2, 3, 5, 20, 50, 150]) {
        const startsLate = (scheduler === "ddim" || scheduler === "align_your_steps") && steps === 1;
        if (startsLate && !["dpm2", "dpm2_a", "dpmpp_3m_sde"].includes(name)) {
          assert.throws(
            () => createTrajectory(name, SD15, { steps, scheduler }),
            /more picture than noise; take 2 or more/,
          );
          continue;
        }
        const trajectory = createTrajectory(name, SD15, { steps, scheduler });
        placeHistory(trajectory.steps, HISTORY_SLOTS);
        assert.ok(trajectory.steps.every(({ timestep }) => timestep >= 0 && timestep <= 999));
      }
    }
  }
});

Deno.test("createTrajectory() starts a named schedule at its own largest sigma, in each sampler's space", () => {
  const largest = 14.6146;
  const start = (name: SamplerName) => createTrajectory(name, SD15, { steps: 8, scheduler: "karras" }).initialScale;
  assert.ok(Math.abs(start("euler") - largest) < 1e-3);
  assert.ok(Math.abs(start("dpmpp_2m") - largest / Math.hypot(largest, 1)) < 1e-6);
});

Deno.test("createTrajectory() leaves out the last sigma above 0 of a named schedule where A1111 does", () => {
  const sigmas = (name: SamplerName, steps: number) =>
    createTrajectory(name, SD15, { steps, scheduler: "karras" }).steps
      .map(({ level: { signal, noise } }) => noise / signal);
  const longer = sigmas("dpmpp_2m", 9);
  const found = sigmas("dpmpp_3m_sde", 8);
  assert.equal(found.length, 8);
  found.forEach((sigma, i) => assert.ok(Math.abs(sigma / longer[i] - 1) < 1e-9));
  assert.equal(sigmas("dpm2", 8).length, 15);
});

Deno.test("createTrajectory() names samplers with schedulers to one that has a schedule of its own", () => {
  for (const name of ["ddpm", "ddim", "pndm", "lcm", "tcd"] as const) {
    assert.throws(() => createTrajectory(name, SD15, { steps: 8, scheduler: "karras" }), (error) => {
      return error instanceof UnsupportedScheduleError && error.message.includes("samplers euler, euler_a");
    });
  }
});

Deno.test("createTrajectory() gives the noise of stochastic solvers the interval of sigmas that it covers", () => {
  for (const name of ["dpmpp_sde", "dpmpp_2m_sde", "dpmpp_2m_sde_heun", "dpmpp_3m_sde"] as const) {
    for (const scheduler of ["automatic", "karras"] as const) {
      const { steps, noiseRange } = createTrajectory(name, SD15, { steps: 8, scheduler });
      const [least, most] = noiseRange!;
      const noisy = steps.filter(({ noise }) => noise > 0);
      // The last step ends at 0 without noise, and DPM++ SDE draws twice in the others.
      assert.equal(noisy.length, name === "dpmpp_sde" ? 14 : 7);
      for (const { noiseInterval } of noisy) {
        const [from, to] = noiseInterval!;
        assert.ok(most >= from && from > to && to >= least, `${name}: ${from} to ${to}`);
      }
      assert.equal(steps[0].noiseInterval![0], most);
    }
  }
  const { steps } = createTrajectory("dpmpp_sde", SD15, { steps: 8 });
  assert.equal(steps[0].noiseInterval![0], steps[1].noiseInterval![0]);
  assert.ok(createTrajectory("euler_a", SD15, { steps: 8 }).steps.every(({ noiseInterval }) => !noiseInterval));
});

Deno.test("createTrajectory() with eta 0 makes every sampler with a choice deterministic", () => {
  for (const name of samplerNames.filter((name) => defaultEta(name) > 0)) {
    const { steps } = createTrajectory(name, SD15, { steps: 8, eta: 0 });
    assert.ok(steps.every(({ noise }) => noise === 0), name);
  }
});

Deno.test("createTrajectory() of DPM++ 2M is not stochastic, and of DPM++ 2M SDE is, whatever the config calls its algorithm", () => {
  const sde = { ...SD15, algorithm_type: "sde-dpmsolver++" };
  for (const name of ["dpmpp_2m", "dpmpp_2m_sde"] as const) {
    assert.deepEqual(createTrajectory(name, sde, { steps: 8 }), createTrajectory(name, SD15, { steps: 8 }));
  }
});

Deno.test("createTrajectory() gives churn to euler only, and only with a model of epsilon", () => {
  assert.ok(createTrajectory("euler", SD15, { steps: 8, churn: 4 }).steps[0].noise > 0);
  assert.throws(() => createTrajectory("heun", SD15, { steps: 8, churn: 4 }), /only euler takes one/);
  assert.throws(() => createTrajectory("euler", SD15, { steps: 8, churn: -1 }), RangeError);
  const v = { ...SD15, prediction_type: "v_prediction" };
  assert.throws(() => createTrajectory("euler", v, { steps: 8, churn: 4 }), /it takes epsilon/);
});

Deno.test("createTrajectory() says of a sampler's own limits what would do", () => {
  const refusals: [SamplerName, SchedulerJson, { steps: number; strength?: number }, RegExp][] = [
    ["lcm", SD15, { steps: 51 }, /51 steps with sampler lcm: .* 50 original_inference_steps/],
    ["tcd", { ...SD15, original_inference_steps: 1001 }, { steps: 4 }, /1001 original_inference_steps/],
    ["pndm", { ...SD15, skip_prk_steps: false }, { steps: 3 }, /3 steps: it takes 4 or more, unless skip_prk_steps/],
    ["pndm", { ...SD15, skip_prk_steps: false }, { steps: 1 }, /with 1 step: it takes 4 or more/],
    ["pndm", { ...SD15, skip_prk_steps: false }, { steps: 8, strength: 0.5 }, /a picture to start from/],
    ["dpmpp_2m", { ...SD15, use_beta_sigmas: true }, { steps: 50 }, /the same timestep, 998; take fewer steps/],
    ["unipc", { ...SD15, solver_type: "bh1" }, { steps: 8 }, /solver_type is bh1, which cannot end at sigma 0/],
    ["dpmpp_2m_sde", { ...SD15, solver_order: 3 }, { steps: 8 }, /its solver_order is 3, it must be whole, 1 to 2/],
    [
      "ddim",
      { ...SD15, thresholding: true, sample_max_value: 2 },
      { steps: 8 },
      /its sample_max_value is 2, it must be 1/,
    ],
    [
      "heun",
      { ...SD15, use_karras_sigmas: true, use_beta_sigmas: true },
      { steps: 8 },
      /use_karras_sigmas and use_beta_sigmas/,
    ],
  ];
  for (const [name, config, options, sentence] of refusals) {
    assert.throws(() => createTrajectory(name, config, options), (error) => {
      return error instanceof UnsupportedScheduleError && sentence.test(error.message);
    }, `${name}: ${sentence}`);
  }
});

Deno.test("createTrajectory() names the key, the value and what would do of a config that is not for its sampler", () => {
  const bad: SchedulerJson[] = [
    { beta_schedule: "sigmoid" },
    { num_train_timesteps: 0 },
    { num_train_timesteps: "1000" },
    { steps_offset: -1 },
    { prediction_type: "flow_prediction" },
    { trained_betas: [0.1, "0.2"] },
    { use_beta_sigmas: "yes" },
  ];
  for (const config of bad) {
    const [[key, value]] = Object.entries(config);
    assert.throws(() => createTrajectory("euler", config, { steps: 4 }), (error) => {
      return error instanceof UnsupportedScheduleError &&
        error.message.includes(`its ${key} is ${JSON.stringify(value)}`);
    });
  }
  assert.throws(() => createTrajectory("ddim", { trained_betas: [0.1] }, { steps: 4 }), /1 trained_betas for 1000/);
});

Deno.test("createTrajectory() ignores keys that its sampler does not read", () => {
  const config = { ...SD15, variance_type: "learned_range", thresholding: true, algorithm_type: "sde-dpmsolver++" };
  assert.deepEqual(createTrajectory("euler", config, { steps: 4 }), createTrajectory("euler", SD15, { steps: 4 }));
});

Deno.test("createTrajectory() refuses an epsilon prediction where nothing of the signal is left", () => {
  const config = { ...SD15, rescale_betas_zero_snr: true, timestep_spacing: "trailing" };
  assert.throws(() => createTrajectory("ddim", config, { steps: 4 }), /signal of 0/);
  assert.equal(createTrajectory("ddim", { ...config, prediction_type: "v_prediction" }, { steps: 4 }).steps.length, 4);
});

Deno.test("parseSchedulerJson() reads Python's infinities as absent and leaves strings alone", () => {
  const text = '{"lambda_min_clipped": -Infinity, "note": "-Infinity \\" NaN", "steps_offset": 1}';
  assert.deepEqual(parseSchedulerJson(text), { lambda_min_clipped: null, note: '-Infinity " NaN', steps_offset: 1 });
  assert.equal(createTrajectory("dpmpp_2m", parseSchedulerJson(text), { steps: 4 }).steps.length, 4);
  for (const bad of ["[]", "null", "1", "{"]) assert.throws(() => parseSchedulerJson(bad), SyntaxError);
});
