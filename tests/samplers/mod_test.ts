import assert from "node:assert/strict";
import {
  createTrajectory,
  parseSchedulerJson,
  samplerNames,
  type SchedulerJson,
  UnsupportedScheduleError,
} from "../../src/samplers/mod.ts";

const SD15: SchedulerJson = {
  beta_start: 0.00085,
  beta_end: 0.012,
  beta_schedule: "scaled_linear",
  clip_sample: false,
  set_alpha_to_one: false,
  steps_offset: 1,
};

const timesteps = (...args: Parameters<typeof createTrajectory>) =>
  createTrajectory(...args).steps.map(({ timestep }) => timestep);

for (const name of samplerNames) {
  Deno.test(`createTrajectory() of ${name} runs any number of steps from 1 to 150 in every spacing`, () => {
    for (const timestep_spacing of ["leading", "trailing", "linspace"]) {
      for (let steps = 1; steps <= 150; steps++) {
        const trajectory = createTrajectory(name, { ...SD15, timestep_spacing }, { steps });
        assert.equal(trajectory.steps.length, steps);
        assert.ok(trajectory.steps.every(({ denoised }) => denoised.length >= 1 && denoised.length <= 4));
      }
    }
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
    const all = timesteps(name, SD15, { steps: 20 });
    assert.deepEqual(timesteps(name, SD15, { steps: 20, strength: 0.5 }), all.slice(10));
    assert.deepEqual(timesteps(name, SD15, { steps: 20, strength: 0.76 }), all.slice(5));
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

Deno.test("createTrajectory() forces Karras sigmas, or none, whatever the config says", () => {
  for (const name of ["euler", "dpmpp_2m"] as const) {
    const plain = createTrajectory(name, SD15, { steps: 8 });
    const karras = createTrajectory(name, { ...SD15, use_karras_sigmas: true }, { steps: 8 });
    assert.notDeepEqual(plain, karras);
    assert.deepEqual(createTrajectory(name, SD15, { steps: 8, scheduler: "karras" }), karras);
    for (const scheduler of ["normal", "uniform"] as const) {
      assert.deepEqual(createTrajectory(name, { ...SD15, use_karras_sigmas: true }, { steps: 8, scheduler }), plain);
    }
  }
});

Deno.test("createTrajectory() says which samplers have Karras sigmas to one that has not", () => {
  for (const name of ["ddpm", "ddim", "euler_a"] as const) {
    assert.throws(() => createTrajectory(name, SD15, { steps: 8, scheduler: "karras" }), (error) => {
      return error instanceof UnsupportedScheduleError && error.message.includes("euler, dpmpp_2m");
    });
    assert.deepEqual(
      createTrajectory(name, SD15, { steps: 8, scheduler: "normal" }),
      createTrajectory(name, SD15, { steps: 8 }),
    );
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
    { use_beta_sigmas: true },
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
