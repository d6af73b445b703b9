import assert from "node:assert/strict";
import {
  findSampler,
  findScheduler,
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
  };
  for (const [text, sampler] of Object.entries(names)) assert.deepEqual(findSampler(text), { sampler });
  for (const name of samplerNames) assert.deepEqual(findSampler(samplerLabel(name)), { sampler: name });
});

Deno.test("findSampler() splits off a scheduler at the end of a name", () => {
  assert.deepEqual(findSampler("DPM++ 2M Karras"), { sampler: "dpmpp_2m", scheduler: "karras" });
  assert.deepEqual(findSampler("k_dpmpp_2m_karras"), { sampler: "dpmpp_2m", scheduler: "karras" });
});

Deno.test("findSampler() lists the nearest names of one it does not know", () => {
  assert.throws(() => findSampler("eular_a"), (error) => {
    return error instanceof UnknownSamplerError &&
      error.message.includes('"eular_a": the nearest are euler_a and euler');
  });
  assert.throws(() => findSampler("dpm++ 2s"), /the nearest are dpmpp_2m/);
  assert.throws(() => findSampler(""), UnknownSamplerError);
});

Deno.test("findSampler() stays short and quick on an absurdly long name", () => {
  assert.throws(() => findSampler("x".repeat(1e6)), (error) => error instanceof Error && error.message.length < 250);
});

Deno.test("findScheduler() knows all labels and lists the names for others", () => {
  for (const name of schedulerNames) assert.equal(findScheduler(schedulerLabel(name)), name);
  assert.throws(() => findScheduler("exponential"), (error) => {
    return error instanceof UnknownSchedulerError && error.message.includes("automatic, karras, normal, uniform");
  });
});
