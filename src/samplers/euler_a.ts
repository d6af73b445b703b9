import { ancestralStep } from "./ancestral.ts";
import { oneOf, readConfig, type SchedulerJson, TRAINING_RULES } from "./config.ts";
import type { RunOptions } from "./options.ts";
import type { SigmaSchedule } from "./schedule.ts";
import { sigmaRun, spacedOnly } from "./sigma_run.ts";
import { type Prediction, sigmaSpace, type Step, type Trajectory } from "./step.ts";

const RULES = {
  ...TRAINING_RULES,
  prediction_type: oneOf("epsilon", "v_prediction"),
  timestep_spacing: oneOf("linspace", "leading", "trailing"),
};

/** Ancestral Euler steps: down to a lower sigma than the next one, then noise up to it (k-diffusion). */
export function eulerAncestral({ timesteps, sigmas }: SigmaSchedule, prediction: Prediction, { eta = 1 } = {}): Step[] {
  return timesteps.map((timestep, i) => {
    const { down, up } = ancestralStep(sigmas[i], sigmas[i + 1], eta);
    const ratio = down / sigmas[i];
    return { timestep, ...sigmaSpace(prediction, sigmas[i]), x: ratio, denoised: [1 - ratio], noise: up };
  });
}

/** An ancestral Euler run with the settings of the reference's EulerAncestralDiscreteScheduler. */
export function eulerAncestralTrajectory(json: SchedulerJson, options: RunOptions): Trajectory {
  const config = readConfig(json, RULES, "euler_a");
  const { begin, schedule } = sigmaRun({ ...config, ...spacedOnly }, options);
  return { ...begin, steps: eulerAncestral(schedule, config.prediction_type, options) };
}
