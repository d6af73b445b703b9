import { ancestralStep } from "./ancestral.ts";
import { oneOf, readConfig, type SchedulerJson, SIGMA_RULES, TRAINING_RULES } from "./config.ts";
import type { RunOptions } from "./options.ts";
import type { SigmaSchedule } from "./schedule.ts";
import { sigmaRun } from "./sigma_run.ts";
import { type Prediction, sigmaSpace, type Step, type Trajectory } from "./step.ts";

const RULES = {
  ...TRAINING_RULES,
  ...SIGMA_RULES,
  prediction_type: oneOf("epsilon", "v_prediction"),
  timestep_spacing: oneOf("linspace", "leading", "trailing"),
};

/**
 * DPM++ SDE steps: the stochastic solver of second order that k-diffusion derives from DPM-Solver++ (sample_dpmpp_sde with
 * r = 1/2). Two rows each, both ancestral from the step's start: to the middle of the logarithms, and with the prediction
 * made there the whole way. Their noise is of one Brownian path. A step that ends at 0 is Euler's.
 */
export function dpmppSde(
  { timesteps, sigmas, timestepAt }: SigmaSchedule,
  prediction: Prediction,
  { eta = 1 } = {},
): Step[] {
  return timesteps.flatMap((timestep, i): Step[] => {
    const [from, to] = [sigmas[i], sigmas[i + 1]], middle = Math.sqrt(from * to);
    const first = { timestep, ...sigmaSpace(prediction, from) };
    if (to === 0) return [{ ...first, x: 0, denoised: [1], noise: 0 }];
    const half = ancestralStep(from, middle, eta), full = ancestralStep(from, to, eta);
    return [
      {
        ...first,
        x: half.down / from,
        denoised: [1 - half.down / from],
        noise: half.up,
        noiseInterval: [from, middle],
        saves: true,
      },
      {
        timestep: timestepAt(middle),
        ...sigmaSpace(prediction, middle),
        x: 0,
        fromSaved: full.down / from,
        denoised: [1 - full.down / from],
        noise: full.up,
        noiseInterval: [from, to],
      },
    ];
  });
}

/** A DPM++ SDE run with the settings of the reference's DPMSolverSDEScheduler. */
export function dpmppSdeTrajectory(json: SchedulerJson, options: RunOptions): Trajectory {
  const config = readConfig(json, RULES, "dpmpp_sde");
  const { begin, schedule } = sigmaRun(config, options);
  return { ...begin, steps: dpmppSde(schedule, config.prediction_type, options) };
}
