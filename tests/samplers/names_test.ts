import assert from "node:assert/strict";
import {
  defaultEta,
  findSampler,
  findScheduler,
  goTogether,
  samplerLabel,
  samplerNames,
  schedulerLabel,
  schedulerNames,
  UnknownSamplerError,
  UnknownSchedulerError,
} from "../../src/samplers/mod.ts";

Deno.test("findSampler() knows native names, labels, A1111's aliases and the reference's classes", () => {
  const names = {
    ddpm: "ddpm",
    DDIM: "ddim",
    Euler: "euler",
    k_euler: "euler",
    "Euler a": "euler_a",
    k_euler_ancestral: "euler_a",
    "DPM++ 2M": "dpmpp_2m",
    k_dpmpp_2m: "dpmpp_2m",
    "dpm++_2m": "dpmpp_2m",
    DPMSolverMultistepScheduler: "dpmpp_2m",
    "DPM++ SDE": "dpmpp_sde",
    "DPM++ 2M SDE": "dpmpp_2m_sde",
    "DPM++ 2M SDE Heun": "dpmpp_2m_sde_heun",
    "DPM++ 2S a": "dpmpp_2s_a",
    "DPM++ 3M SDE": "dpmpp_3m_sde",
    LMS: "lms",
    Heun: "heun",
    DPM2: "dpm2",
    "DPM2 a": "dpm2_a",
    k_dpm_2_a: "dpm2_a",
    PLMS: "pndm",
    UniPC: "unipc",
    LCM: "lcm",
    tcd: "tcd",
  };
  for (const [text, sampler] of Object.entries(names)) assert.deepEqual(findSampler(text), { sampler });
  for (const name of samplerNames) assert.deepEqual(findSampler(samplerLabel(name)), { sampler: name });
});

Deno.test("findSampler() splits off a scheduler at the end of a name", () => {
  assert.deepEqual(findSampler("DPM++ 2M Karras"), { sampler: "dpmpp_2m", scheduler: "karras" });
  assert.deepEqual(findSampler("k_dpmpp_2m_karras"), { sampler: "dpmpp_2m", scheduler: "karras" });
  assert.deepEqual(findSampler("k_dpm_2_a_ka"), { sampler: "dpm2_a", scheduler: "karras" });
  assert.deepEqual(findSampler("k_dpmpp_2m_sde_exp"), { sampler: "dpmpp_2m_sde", scheduler: "exponential" });
  assert.deepEqual(findSampler("DPM++ 2M SDE Heun Exponential"), {
    sampler: "dpmpp_2m_sde_heun",
    scheduler: "exponential",
  });
  assert.deepEqual(findSampler("Euler SGM Uniform"), { sampler: "euler", scheduler: "sgm_uniform" });
});

Deno.test("findSampler() lists the nearest names of one it does not know", () => {
  assert.throws(() => findSampler("eular_a"), (error) => {
    return error instanceof UnknownSamplerError &&
      error.message.includes('"eular_a": the nearest are euler_a and euler');
  });
  for (const name of ["DPM fast", "DPM adaptive", "Restart", "DDIM CFG++"]) {
    assert.throws(() => findSampler(name), UnknownSamplerError);
  }
  assert.throws(() => findSampler("DDIM CFG++"), /the nearest are ddim/);
  assert.throws(() => findSampler(""), UnknownSamplerError);
});

Deno.test("findSampler() stays short and quick on an absurdly long name", () => {
  assert.throws(() => findSampler("x".repeat(1e6)), (error) => error instanceof Error && error.message.length < 350);
});

Deno.test("findScheduler() knows all labels and lists the names for others", () => {
  for (const name of schedulerNames) assert.equal(findScheduler(schedulerLabel(name)), name);
  assert.equal(findScheduler("SGMUniform"), "sgm_uniform");
  assert.equal(findScheduler("ddim_uniform"), "ddim");
  assert.throws(() => findScheduler("turbo"), (error) => {
    return error instanceof UnknownSchedulerError && error.message.includes("automatic, uniform, karras, exponential");
  });
});

Deno.test("goTogether() gives every scheduler to samplers over sigmas, and the model's own to all", () => {
  for (const sampler of samplerNames) {
    const own = ["ddim", "ddpm", "pndm", "lcm", "tcd"].includes(sampler);
    assert.equal(goTogether(sampler, "automatic"), true);
    for (const scheduler of schedulerNames.slice(1)) assert.equal(goTogether(sampler, scheduler), !own);
  }
});

Deno.test("defaultEta() is what each sampler's own publication takes", () => {
  const ones = samplerNames.filter((name) => defaultEta(name) === 1);
  assert.deepEqual(ones.toSorted(), [
    ...["dpm2_a", "dpmpp_2m_sde", "dpmpp_2m_sde_heun", "dpmpp_2s_a", "dpmpp_3m_sde", "dpmpp_sde", "euler_a"],
  ]);
  assert.deepEqual([defaultEta("tcd"), defaultEta("ddim"), defaultEta("euler")], [0.3, 0, 0]);
});
