import {
  CLIP_RULES,
  clipOf,
  flag,
  oneOf,
  readConfig,
  type SchedulerJson,
  SIGMA_RULES,
  TRAINING_RULES,
} from "./config.ts";
import type { RunOptions } from "./options.ts";
import type { SigmaSchedule } from "./schedule.ts";
import { sigmaRun } from "./sigma_run.ts";
import { type Prediction, sigmaSpace, type Step, type Trajectory } from "./step.ts";

const RULES = {
  ...TRAINING_RULES,
  ...SIGMA_RULES,
  ...CLIP_RULES,
  clip_sample: flag(false),
  thresholding: flag(false),
  prediction_type: oneOf("epsilon", "v_prediction", "sample"),
  timestep_spacing: oneOf("linspace", "leading", "trailing"),
};

/**
 * Heun steps: algorithm 2 of Karras et al. (2022) without churn, two rows each. The first is Euler's; the second starts
 * over with the mean of the slopes at both ends. A step that ends at 0 is Euler's alone.
 */
export function heun(
  { timesteps, sigmas, timestepAt }: SigmaSchedule,
  prediction: Prediction,
  { clip }: { clip?: number } = {},
): Step[] {
  return timesteps.flatMap((timestep, i) => {
    const [from, to] = [sigmas[i], sigmas[i + 1]], ratio = to / from;
    const euler: Step = {
      timestep,
      ...sigmaSpace(prediction, from),
      clip,
      x: ratio,
      denoised: [1 - ratio],
      noise: 0,
      saves: to > 0,
    };
    if (to === 0) return euler;
    const [before, after] = [(to - from) / 2 / from, (to - from) / 2 / to];
    const corrected: Step = {
      timestep: timesteps[i + 1] ?? timestepAt(to),
      ...sigmaSpace(prediction, to),
      clip,
      x: after,
      fromSaved: 1 + before,
      denoised: [-after, -before],
      noise: 0,
    };
    return [euler, corrected];
  });
}

/** A Heun run with the settings of the reference's HeunDiscreteScheduler. */
export function heunTrajectory(json: SchedulerJson, options: RunOptions): Trajectory {
  const config = readConfig(json, RULES, "heun");
  const { begin, schedule } = sigmaRun(config, options);
  return {
    ...begin,
    steps: heun(schedule, config.prediction_type, { clip: clipOf({ ...config, thresholding: false }) }),
  };
}
