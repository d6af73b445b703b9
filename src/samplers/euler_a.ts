import { oneOf, readConfig, type SchedulerJson, TRAINING_RULES } from "./config.ts";
import type { RunOptions } from "./options.ts";
import {
  boundedAlphasCumprod,
  scheduleFrom,
  sigmaAt,
  type SigmaSchedule,
  sigmaStart,
  spaceTimesteps,
  trainingSigmas,
} from "./schedule.ts";
import { type Prediction, sigmaSpace, type Step, type Trajectory } from "./step.ts";

const RULES = {
  ...TRAINING_RULES,
  prediction_type: oneOf("epsilon", "v_prediction"),
  timestep_spacing: oneOf("linspace", "leading", "trailing"),
};

/** Ancestral Euler steps: down to a lower sigma than the next one, then noise up to it (k-diffusion, eta 1). */
export function eulerAncestral({ timesteps, sigmas }: SigmaSchedule, prediction: Prediction): Step[] {
  return timesteps.map((timestep, i) => {
    const [from, to] = [sigmas[i], sigmas[i + 1]];
    const up = Math.sqrt(to ** 2 * (from ** 2 - to ** 2) / from ** 2);
    const ratio = Math.sqrt(to ** 2 - up ** 2) / from;
    return { timestep, ...sigmaSpace(prediction, from), x: ratio, denoised: [1 - ratio], noise: up };
  });
}

/** An ancestral Euler run with the settings of the reference's EulerAncestralDiscreteScheduler. */
export function eulerAncestralTrajectory(json: SchedulerJson, { steps, begin }: RunOptions): Trajectory {
  const config = readConfig(json, RULES, "euler_a");
  const { num_train_timesteps: training, steps_offset: offset, timestep_spacing: spacing } = config;
  const trained = trainingSigmas(boundedAlphasCumprod(config));
  const timesteps = spaceTimesteps({ spacing, training, offset, steps }).map(Math.fround);
  const sigmas = [...timesteps.map((timestep) => sigmaAt(timestep, trained)), 0].map(Math.fround);
  return {
    ...sigmaStart(sigmas, begin, spacing),
    steps: eulerAncestral(scheduleFrom({ timesteps, sigmas }, begin), config.prediction_type),
  };
}
