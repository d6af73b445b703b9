import { CLIP_RULES, clipOf, oneOf, readConfig, type SchedulerJson, TRAINING_RULES } from "./config.ts";
import type { RunOptions } from "./options.ts";
import { alphasCumprod, wholeTimesteps } from "./schedule.ts";
import { type Prediction, type Step, type Trajectory, variancePreserving } from "./step.ts";

const RULES = {
  ...TRAINING_RULES,
  ...CLIP_RULES,
  prediction_type: oneOf("epsilon", "v_prediction", "sample"),
  timestep_spacing: oneOf("leading", "trailing", "linspace"),
  variance_type: oneOf("fixed_small", "fixed_small_log", "fixed_large"),
};

/**
 * DDPM steps: Ho et al. (2020), equations 6 and 7, between timesteps that need not be neighbours.
 * `alphas` is the cumulative product over training; the last step ends at a clean picture.
 */
export function ddpm(
  timesteps: readonly number[],
  alphas: Float32Array,
  { prediction, clip, largeVariance = false }: { prediction: Prediction; clip?: number; largeVariance?: boolean },
): Step[] {
  return timesteps.map((timestep, i) => {
    const alpha = alphas[timestep];
    const alphaAfter = i + 1 < timesteps.length ? alphas[timesteps[i + 1]] : 1;
    const beta = 1 - alpha / alphaAfter;
    const posterior = Math.max((1 - alphaAfter) / (1 - alpha) * beta, 1e-20);
    return {
      timestep,
      ...variancePreserving(prediction, Math.sqrt(alpha), Math.sqrt(1 - alpha)),
      clip,
      x: Math.sqrt(alpha / alphaAfter) * (1 - alphaAfter) / (1 - alpha),
      denoised: [Math.sqrt(alphaAfter) * beta / (1 - alpha)],
      noise: timestep > 0 ? Math.sqrt(largeVariance ? beta : posterior) : 0,
    };
  });
}

/** A DDPM run with the settings of the reference's DDPMScheduler. */
export function ddpmTrajectory(json: SchedulerJson, { steps, begin }: RunOptions): Trajectory {
  const config = readConfig(json, RULES, "ddpm");
  const alphas = alphasCumprod(config);
  const timesteps = wholeTimesteps(config, steps).slice(begin);
  return {
    initialScale: 1,
    start: { signal: Math.sqrt(alphas[timesteps[0]]), noise: Math.sqrt(1 - alphas[timesteps[0]]) },
    steps: ddpm(timesteps, alphas, {
      prediction: config.prediction_type,
      clip: clipOf(config),
      largeVariance: config.variance_type === "fixed_large",
    }),
  };
}
