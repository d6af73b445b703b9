import {
  oneOf,
  readConfig,
  type SchedulerJson,
  SIGMA_RULES,
  TRAINING_RULES,
  UnsupportedScheduleError,
} from "./config.ts";
import type { RunOptions } from "./options.ts";
import type { SigmaSchedule } from "./schedule.ts";
import { sigmaRun } from "./sigma_run.ts";
import { type Prediction, sigmaSpace, type Step, type Trajectory } from "./step.ts";

const RULES = {
  ...TRAINING_RULES,
  ...SIGMA_RULES,
  final_sigmas_type: oneOf("zero", "sigma_min"),
  prediction_type: oneOf("epsilon", "v_prediction", "sample"),
  timestep_spacing: oneOf("linspace", "leading", "trailing"),
  timestep_type: oneOf("discrete", "continuous"),
  interpolation_type: oneOf("linear", "log_linear"),
};

/** Noise that a step adds before it goes down: up to sigma · (1 + gamma), by `factor` times what that takes. */
interface Churn {
  gamma: number;
  factor: number;
}

/**
 * Euler steps: algorithm 2 of Karras et al. (2022). Churn's noise reaches the latents at the end of the row, as far as a
 * model that predicts ε sees them without it: as in the reference.
 */
export function euler(
  { timesteps, sigmas }: SigmaSchedule,
  prediction: Prediction,
  { gamma, factor }: Churn = { gamma: 0, factor: 1 },
): Step[] {
  return timesteps.map((timestep, i) => {
    const sigma = sigmas[i], high = sigma * (gamma + 1), ratio = sigmas[i + 1] / high;
    const { skip, out } = sigmaSpace(prediction, high);
    return {
      timestep,
      ...sigmaSpace(prediction, sigma),
      skip,
      out,
      x: ratio,
      denoised: [1 - ratio],
      noise: factor * Math.sqrt(high ** 2 - sigma ** 2),
    };
  });
}

/** An Euler run with the settings of the reference's EulerDiscreteScheduler. */
export function eulerTrajectory(json: SchedulerJson, options: RunOptions): Trajectory {
  const config = readConfig(json, RULES, "euler");
  const { prediction_type: prediction, timestep_type } = config;
  const { begin, schedule } = sigmaRun(config, options, {
    interpolation: config.interpolation_type,
    finalSigma: config.final_sigmas_type,
  });
  if (options.churn > 0 && prediction !== "epsilon") {
    throw new UnsupportedScheduleError(`Cannot churn with a model that predicts ${prediction}: it takes epsilon`);
  }
  const gamma = Math.min(options.churn / options.steps, Math.SQRT2 - 1);
  const steps = euler(schedule, prediction, { gamma, factor: options.churnNoise });
  const isContinuous = timestep_type === "continuous" && prediction === "v_prediction";
  return {
    ...begin,
    steps: isContinuous ? steps.map((step) => ({ ...step, timestep: Math.log(step.level.noise) / 4 })) : steps,
  };
}
