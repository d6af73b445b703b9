import { oneOf, readConfig, type SchedulerJson } from "./config.ts";
import { DISTILLED_RULES, distilledTimesteps } from "./consistency.ts";
import type { RunOptions } from "./options.ts";
import { alphasCumprod } from "./schedule.ts";
import { type Prediction, type Step, type Trajectory, variancePreserving } from "./step.ts";

const RULES = { ...DISTILLED_RULES, prediction_type: oneOf("epsilon", "v_prediction", "sample") };

/**
 * Trajectory consistency steps: Zheng et al. (2024), "Trajectory Consistency Distillation", algorithm 4 (strategic stochastic
 * sampling). A step goes down the trajectory to the timestep (1 − eta) · next, and all but the last add noise up to the next.
 */
export function tcd(
  timesteps: readonly number[],
  alphas: Float32Array,
  { prediction, eta = 0.3 }: { prediction: Prediction; eta?: number },
): Step[] {
  return timesteps.map((timestep, i) => {
    const next = timesteps[i + 1] ?? 0, isLast = i + 1 === timesteps.length;
    // In single precision, as torch multiplies: 0.7 · 170 is 119 there, and just below in double.
    const below = Math.floor(Math.fround(Math.fround(1 - eta) * next));
    const [alpha, alphaAfter, alphaBelow] = [alphas[timestep], isLast ? alphas[below] : alphas[next], alphas[below]];
    const up = alphaAfter / alphaBelow;
    // ε = (latents − sqrt(alpha) · clean) / sqrt(1 − alpha), so its coefficient splits into one of each.
    const noise = Math.sqrt((1 - alphaBelow) / (1 - alpha));
    return {
      timestep,
      ...variancePreserving(prediction, Math.sqrt(alpha), Math.sqrt(1 - alpha)),
      x: Math.sqrt(up) * noise,
      denoised: [Math.sqrt(up) * (Math.sqrt(alphaBelow) - noise * Math.sqrt(alpha))],
      noise: Math.sqrt(1 - up),
    };
  });
}

/** A TCD run with the settings of the reference's TCDScheduler. */
export function tcdTrajectory(json: SchedulerJson, { steps, begin, eta }: RunOptions): Trajectory {
  const config = readConfig(json, RULES, "tcd");
  const alphas = alphasCumprod(config), timesteps = distilledTimesteps(config, steps, "tcd").slice(begin);
  return {
    initialScale: 1,
    start: { signal: Math.sqrt(alphas[timesteps[0]]), noise: Math.sqrt(1 - alphas[timesteps[0]]) },
    steps: tcd(timesteps, alphas, { prediction: config.prediction_type, eta }),
  };
}
