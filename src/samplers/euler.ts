import { type Config, oneOf, readConfig, type SchedulerJson, SIGMA_RULES, TRAINING_RULES } from "./config.ts";
import type { RunOptions } from "./options.ts";
import {
  boundedAlphasCumprod,
  karrasSigmas,
  scheduleFrom,
  sigmaAt,
  type SigmaSchedule,
  sigmaStart,
  singleLinspace,
  spaceTimesteps,
  timestepsOf,
  trainingSigmas,
} from "./schedule.ts";
import { type Prediction, sigmaSpace, type Step, type Trajectory } from "./step.ts";

const RULES = {
  ...TRAINING_RULES,
  ...SIGMA_RULES,
  prediction_type: oneOf("epsilon", "v_prediction", "sample"),
  timestep_spacing: oneOf("linspace", "leading", "trailing"),
  timestep_type: oneOf("discrete", "continuous"),
  interpolation_type: oneOf("linear", "log_linear"),
};

/** Euler steps: algorithm 2 of Karras et al. (2022) without churn. */
export function euler({ timesteps, sigmas }: SigmaSchedule, prediction: Prediction): Step[] {
  return timesteps.map((timestep, i) => {
    const ratio = sigmas[i + 1] / sigmas[i];
    return { timestep, ...sigmaSpace(prediction, sigmas[i]), x: ratio, denoised: [1 - ratio], noise: 0 };
  });
}

/** An Euler run with the settings of the reference's EulerDiscreteScheduler. */
export function eulerTrajectory(json: SchedulerJson, { steps, begin, karras }: RunOptions): Trajectory {
  const config = readConfig(json, RULES, "euler");
  const schedule = eulerSchedule(config, steps, karras ?? config.use_karras_sigmas);
  return {
    ...sigmaStart(schedule.sigmas, begin, config.timestep_spacing),
    steps: euler(scheduleFrom(schedule, begin), config.prediction_type),
  };
}

function eulerSchedule(config: Config<typeof RULES>, steps: number, karras: boolean): SigmaSchedule {
  const { num_train_timesteps: training, steps_offset: offset, timestep_spacing: spacing } = config;
  const trained = trainingSigmas(boundedAlphasCumprod(config));
  let timesteps = spaceTimesteps({ spacing, training, offset, steps }).map(Math.fround);
  // The logarithmic spacing has one sigma more than there are steps, so it never comes down to the last.
  let sigmas = config.interpolation_type === "linear"
    ? timesteps.map((timestep) => sigmaAt(timestep, trained))
    : Array.from(singleLinspace(Math.log(trained.at(-1)!), Math.log(trained[0]), steps + 1), Math.exp);
  if (karras) {
    const { sigma_min: min, sigma_max: max } = config;
    sigmas = karrasSigmas({ min: min ?? sigmas.at(-1)!, max: max ?? sigmas[0], steps });
    timesteps = timestepsOf(sigmas, trained);
  }
  sigmas = [...sigmas, config.final_sigmas_type === "zero" ? 0 : trained[0]].map(Math.fround);
  if (config.timestep_type === "continuous" && config.prediction_type === "v_prediction") {
    timesteps = sigmas.slice(0, -1).map((sigma) => Math.log(sigma) / 4);
  }
  return { timesteps, sigmas };
}
