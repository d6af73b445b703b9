/** Samplers as tables of numbers: from a name, a model's scheduler_config.json and a request to a run's rows. */
import { readConfig, type SchedulerJson, TRAINING_RULES, UnsupportedScheduleError } from "./config.ts";
import { ddimTrajectory } from "./ddim.ts";
import { ddpmTrajectory } from "./ddpm.ts";
import { deisTrajectory } from "./deis.ts";
import { dpm2AncestralTrajectory, dpm2Trajectory } from "./dpm2.ts";
import { dpmpp2sTrajectory } from "./dpmpp_2s.ts";
import { dpmpp2sAncestralTrajectory } from "./dpmpp_2s_a.ts";
import {
  dpmpp2mSdeHeunTrajectory,
  dpmpp2mSdeTrajectory,
  dpmpp2mTrajectory,
  dpmpp3mSdeTrajectory,
} from "./dpmpp_multistep.ts";
import { dpmppSdeTrajectory } from "./dpmpp_sde.ts";
import { eulerTrajectory } from "./euler.ts";
import { eulerAncestralTrajectory } from "./euler_a.ts";
import { heunTrajectory } from "./heun.ts";
import { lcmTrajectory } from "./lcm.ts";
import { lmsTrajectory } from "./lms.ts";
import { defaultEta, goTogether, type SamplerName, samplersWithSigmas, type SchedulerName } from "./names.ts";
import type { RunOptions } from "./options.ts";
import { pndmTrajectory } from "./pndm.ts";
import type { Step, Trajectory } from "./step.ts";
import { tcdTrajectory } from "./tcd.ts";
import { unipcTrajectory } from "./unipc.ts";

export { parseSchedulerJson, type SchedulerJson, UnsupportedScheduleError } from "./config.ts";
export * from "./names.ts";
export type { Step, Trajectory } from "./step.ts";

/** What a request says about its run. */
export interface TrajectoryOptions {
  /** 1 to the model's training timesteps. */
  steps: number;
  /** Share of the noise that a step replaces, 0 to 1, of the samplers with a choice; absent: the sampler's own. */
  eta?: number;
  /** Image-to-image: the share of the steps that is run, above 0 to 1. All of them where absent. */
  strength?: number;
  /**
   * `automatic` is what the model's scheduler_config.json says, as the reference's classes read it. Any other is A1111's
   * schedule of that name from the model's largest sigma to its smallest, with A1111's ways of the sampler: DPM2, DPM2 a and
   * DPM++ 3M SDE leave out the last sigma above 0, orders fall only in a step to 0, and timesteps are not rounded.
   */
  scheduler?: SchedulerName;
  /** Noise that Euler adds anew in all steps together, 0 or more, and a factor of it: the reference's s_churn and s_noise. */
  churn?: number;
  churnNoise?: number;
}

const TRAJECTORIES: Readonly<Record<SamplerName, (json: SchedulerJson, options: RunOptions) => Trajectory>> = {
  euler: eulerTrajectory,
  euler_a: eulerAncestralTrajectory,
  heun: heunTrajectory,
  lms: lmsTrajectory,
  dpm2: dpm2Trajectory,
  dpm2_a: dpm2AncestralTrajectory,
  dpmpp_2m: dpmpp2mTrajectory,
  dpmpp_2m_sde: dpmpp2mSdeTrajectory,
  dpmpp_2m_sde_heun: dpmpp2mSdeHeunTrajectory,
  dpmpp_3m_sde: dpmpp3mSdeTrajectory,
  dpmpp_2s: dpmpp2sTrajectory,
  dpmpp_2s_a: dpmpp2sAncestralTrajectory,
  dpmpp_sde: dpmppSdeTrajectory,
  deis: deisTrajectory,
  unipc: unipcTrajectory,
  ddim: ddimTrajectory,
  ddpm: ddpmTrajectory,
  pndm: pndmTrajectory,
  lcm: lcmTrajectory,
  tcd: tcdTrajectory,
};

/**
 * The whole run of a sampler with a model's scheduler_config.json, in the reference's own space: clean + sigma · ε for both
 * Eulers, Heun, LMS, both DPM2, DPM++ 2S a and DPM++ SDE, and variance-preserving latents for the others.
 *
 * Throws a RangeError where `steps`, `eta`, `strength` or `churn` is out of range, and an UnsupportedScheduleError where the
 * scheduler or the config is not for this sampler.
 * @example createTrajectory("euler", { timestep_spacing: "leading" }, { steps: 20 }).steps[0].timestep // 950
 */
export function createTrajectory(
  name: SamplerName,
  config: SchedulerJson,
  { steps, eta = defaultEta(name), strength, scheduler = "automatic", churn = 0, churnNoise = 1 }: TrajectoryOptions,
): Trajectory {
  checkSteps(steps, readConfig(config, TRAINING_RULES, name).num_train_timesteps);
  if (!(eta >= 0 && eta <= 1)) throw new RangeError(`Cannot sample with eta ${eta}: use 0 to 1`);
  if (!(churn >= 0) || (churn > 0 && name !== "euler")) {
    throw new RangeError(`Cannot sample ${name} with churn ${churn}: only euler takes one, of 0 or more`);
  }
  checkScheduler(name, scheduler);
  const begin = strength === undefined ? 0 : firstStep(steps, strength);
  const trajectory = TRAJECTORIES[name](config, { steps, begin, eta, scheduler, churn, churnNoise });
  if (allFinite(trajectory)) return trajectory;
  throw new UnsupportedScheduleError(
    `Cannot take ${steps} steps with sampler ${name} and this scheduler_config.json: two steps would share a noise level ` +
      `or divide by a signal of 0; take fewer steps or another sampler`,
  );
}

function checkSteps(steps: number, training: number): void {
  if (!Number.isInteger(steps) || steps < 1) {
    throw new RangeError(`Cannot take ${steps} steps: use a whole number from 1`);
  }
  if (steps > training) {
    throw new RangeError(
      `Cannot take ${steps} steps: the model was trained on ${training} timesteps, use at most those`,
    );
  }
}

/** Image-to-image leaves out the first steps: those above the noise that `strength` asks for. */
function firstStep(steps: number, strength: number): number {
  if (!(strength > 0 && strength <= 1)) {
    throw new RangeError(`Cannot start from a picture with strength ${strength}: use above 0 to 1`);
  }
  const taken = Math.floor(steps * strength);
  if (taken > 0) return steps - taken;
  throw new RangeError(
    `Cannot start from a picture with strength ${strength}: of ${steps} steps it runs none; use at least ${
      Math.ceil(1000 / steps) / 1000
    }`,
  );
}

function checkScheduler(name: SamplerName, scheduler: SchedulerName): void {
  if (goTogether(name, scheduler)) return;
  throw new UnsupportedScheduleError(
    `Sampler ${name} has a schedule of its own: use scheduler automatic, or one of the samplers ` +
      samplersWithSigmas.join(", "),
  );
}

function allFinite({ initialScale, start, steps }: Trajectory): boolean {
  const finite = ({ timestep, inputScale, skip, out, x, denoised, unclipped = 0, fromSaved = 0, noise }: Step) =>
    [timestep, inputScale, skip, out, x, ...denoised, unclipped, fromSaved, noise].every(Number.isFinite);
  return [initialScale, start.signal, start.noise].every(Number.isFinite) && steps.length > 0 && steps.every(finite);
}
