import { oneOf, readConfig, type SchedulerJson, SIGMA_RULES, TRAINING_RULES } from "./config.ts";
import type { RunOptions } from "./options.ts";
import type { SigmaSchedule } from "./schedule.ts";
import { sigmaRun } from "./sigma_run.ts";
import { type Prediction, sigmaSpaceNoise, type Step, type Trajectory } from "./step.ts";

const RULES = {
  ...TRAINING_RULES,
  ...SIGMA_RULES,
  prediction_type: oneOf("epsilon", "v_prediction", "sample"),
  timestep_spacing: oneOf("linspace", "leading", "trailing"),
};

/** Slopes that a step looks at. */
const ORDER = 4;

/**
 * Linear multistep: the Adams-Bashforth method for uneven steps. A step integrates the polynomial through the slopes ε at
 * its sigma and up to three before (k-diffusion, sample_lms). Of a run from step `begin` on the first steps are weighed as
 * those of the whole one and the slopes that were never made count as 0, as the reference has it.
 */
export function lms({ timesteps, sigmas }: SigmaSchedule, prediction: Prediction, { begin = 0 } = {}): Step[] {
  return timesteps.slice(begin).map((timestep, row) => {
    const i = begin + row, order = Math.min(i + 1, ORDER);
    const nodes = Array.from({ length: order }, (_, k) => sigmas[i - k]);
    const weights = nodes.map((_, k) => integrateBasis(nodes, k, sigmas[i], sigmas[i + 1]));
    return {
      timestep,
      ...sigmaSpaceNoise(prediction, sigmas[i]),
      x: 1,
      denoised: weights.slice(0, row + 1),
      noise: 0,
    };
  });
}

/** The integral of Lagrange's polynomial that is 1 at node `k` and 0 at the others: Gauss, exact to the third power. */
function integrateBasis(nodes: readonly number[], k: number, from: number, to: number): number {
  const basis = (sigma: number) =>
    nodes.reduce((product, node, j) => j === k ? product : product * (sigma - node) / (nodes[k] - node), 1);
  const [middle, half] = [(from + to) / 2, (to - from) / 2];
  return half * (basis(middle - half / Math.sqrt(3)) + basis(middle + half / Math.sqrt(3)));
}

/** An LMS run with the settings of the reference's LMSDiscreteScheduler. */
export function lmsTrajectory(json: SchedulerJson, options: RunOptions): Trajectory {
  const config = readConfig(json, RULES, "lms");
  const { begin, whole, schedule } = sigmaRun(config, options);
  // A1111 hands its sampler the rest of the schedule only.
  const steps = options.scheduler === "automatic"
    ? lms(whole, config.prediction_type, options)
    : lms(schedule, config.prediction_type);
  return { ...begin, steps };
}
