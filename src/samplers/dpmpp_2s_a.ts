import { ancestralStep } from "./ancestral.ts";
import { oneOf, readConfig, type SchedulerJson, SIGMA_RULES, TRAINING_RULES } from "./config.ts";
import type { RunOptions } from "./options.ts";
import type { SigmaSchedule } from "./schedule.ts";
import { sigmaRun } from "./sigma_run.ts";
import { type Prediction, sigmaSpace, type Step, type Trajectory } from "./step.ts";

const RULES = {
  ...TRAINING_RULES,
  ...SIGMA_RULES,
  prediction_type: oneOf("epsilon", "v_prediction", "sample"),
  timestep_spacing: oneOf("linspace", "leading", "trailing"),
};

/**
 * Ancestral DPM++ 2S steps: DPM-Solver++(2S) of Lu et al. (2022), algorithm 1, to a lower sigma than the next, then noise up
 * to that (k-diffusion, sample_dpmpp_2s_ancestral). Two rows each: to the middle of the logarithms, then the whole way with
 * the prediction that was made there. A step that falls to 0 is Euler's.
 */
export function dpmpp2sAncestral(
  { timesteps, sigmas, timestepAt }: SigmaSchedule,
  prediction: Prediction,
  { eta = 1 } = {},
): Step[] {
  return timesteps.flatMap((timestep, i) => {
    const from = sigmas[i], { down, up } = ancestralStep(from, sigmas[i + 1], eta), middle = Math.sqrt(from * down);
    const half: Step = {
      timestep,
      ...sigmaSpace(prediction, from),
      x: middle / from,
      denoised: [1 - middle / from],
      noise: down === 0 ? up : 0,
      saves: down > 0,
    };
    if (down === 0) return half;
    const full: Step = {
      timestep: timestepAt(middle),
      ...sigmaSpace(prediction, middle),
      x: 0,
      fromSaved: down / from,
      denoised: [1 - down / from],
      noise: up,
    };
    return [half, full];
  });
}

/** An ancestral DPM++ 2S run; the reference has no class for it, so a config is read as other samplers of its kind do. */
export function dpmpp2sAncestralTrajectory(json: SchedulerJson, options: RunOptions): Trajectory {
  const config = readConfig(json, RULES, "dpmpp_2s_a");
  const { begin, schedule } = sigmaRun(config, options);
  return { ...begin, steps: dpmpp2sAncestral(schedule, config.prediction_type, options) };
}
