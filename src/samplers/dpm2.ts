import { ancestralStep } from "./ancestral.ts";
import { oneOf, readConfig, type SchedulerJson, SIGMA_RULES, TRAINING_RULES } from "./config.ts";
import type { RunOptions } from "./options.ts";
import type { SigmaSchedule } from "./schedule.ts";
import { sigmaRun } from "./sigma_run.ts";
import { type Prediction, sigmaSpaceNoise, type Step, type Trajectory } from "./step.ts";

const RULES = {
  ...TRAINING_RULES,
  ...SIGMA_RULES,
  prediction_type: oneOf("epsilon", "v_prediction"),
  timestep_spacing: oneOf("linspace", "leading", "trailing"),
};

/**
 * DPM2 steps: DPM-Solver-2 of Lu et al. (2022) as k-diffusion has it, two rows each. The first goes to the middle of the
 * logarithms; the second starts over with the slope that was found there. With `eta` above 0 they are ancestral: a step
 * falls below the next sigma and ends with noise. A step that falls to 0 is Euler's. Its D are slopes: ε, which sums lose
 * less of than of the clean latents.
 */
export function dpm2(
  { timesteps, sigmas, timestepAt }: SigmaSchedule,
  prediction: Prediction,
  { eta }: { eta: number },
): Step[] {
  return timesteps.flatMap((timestep, i) => {
    const from = sigmas[i], { down, up } = ancestralStep(from, sigmas[i + 1], eta), middle = Math.sqrt(from * down);
    const half: Step = {
      timestep,
      ...sigmaSpaceNoise(prediction, from),
      x: 1,
      denoised: [middle - from],
      noise: 0,
      saves: down > 0,
    };
    if (down === 0) return half;
    const full: Step = {
      timestep: timestepAt(middle),
      ...sigmaSpaceNoise(prediction, middle),
      x: 0,
      fromSaved: 1,
      denoised: [down - from],
      noise: up,
    };
    return [half, full];
  });
}

/** A DPM2 run with the settings of the reference's KDPM2DiscreteScheduler. */
export function dpm2Trajectory(json: SchedulerJson, options: RunOptions): Trajectory {
  return trajectory(json, { ...options, eta: 0 }, "dpm2");
}

/** An ancestral DPM2 run with the settings of the reference's KDPM2AncestralDiscreteScheduler. */
export function dpm2AncestralTrajectory(json: SchedulerJson, options: RunOptions): Trajectory {
  return trajectory(json, options, "dpm2_a");
}

function trajectory(json: SchedulerJson, options: RunOptions, name: "dpm2" | "dpm2_a"): Trajectory {
  const config = readConfig(json, RULES, name);
  const { begin, schedule } = sigmaRun(config, options, { wholeKarras: true, discardsNextToLast: true });
  return { ...begin, steps: dpm2(schedule, config.prediction_type, options) };
}
