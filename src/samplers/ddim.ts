import { CLIP_RULES, clipOf, flag, oneOf, readConfig, type SchedulerJson, TRAINING_RULES } from "./config.ts";
import type { RunOptions } from "./options.ts";
import { alphasCumprod, wholeTimesteps } from "./schedule.ts";
import { type Prediction, type Step, type Trajectory, variancePreserving } from "./step.ts";

const RULES = {
  ...TRAINING_RULES,
  ...CLIP_RULES,
  prediction_type: oneOf("epsilon", "v_prediction", "sample"),
  timestep_spacing: oneOf("leading", "trailing", "linspace"),
  set_alpha_to_one: flag(true),
};

/**
 * DDIM steps: Song et al. (2020), equation 12; `eta` 0 is deterministic, 1 as noisy as DDPM. A step goes `stride`
 * timesteps down whatever the next one's timestep is; below 0 the share of the signal's variance is `finalAlpha`.
 * A clipped prediction keeps the direction towards the noise that it had before it was clipped.
 */
export function ddim(
  timesteps: readonly number[],
  alphas: Float32Array,
  { prediction, stride, finalAlpha, eta, clip }: {
    prediction: Prediction;
    stride: number;
    finalAlpha: number;
    eta: number;
    clip?: number;
  },
): Step[] {
  return timesteps.map((timestep) => {
    const alpha = alphas[timestep];
    const alphaAfter = timestep >= stride ? alphas[timestep - stride] : finalAlpha;
    const noise = eta * Math.sqrt((1 - alphaAfter) / (1 - alpha) * (1 - alpha / alphaAfter));
    // ε = (latents − sqrt(alpha) · raw) / sqrt(1 − alpha), so its coefficient splits into one of each.
    const x = Math.sqrt(Math.max(1 - alphaAfter - noise ** 2, 0) / (1 - alpha));
    const raw = -x * Math.sqrt(alpha);
    const clean = Math.sqrt(alphaAfter);
    return {
      timestep,
      ...variancePreserving(prediction, Math.sqrt(alpha), Math.sqrt(1 - alpha)),
      x,
      ...(clip === undefined ? { denoised: [clean + raw] } : { clip, denoised: [clean], unclipped: raw }),
      noise,
    };
  });
}

/** A DDIM run with the settings of the reference's DDIMScheduler. */
export function ddimTrajectory(json: SchedulerJson, { steps, begin, eta }: RunOptions): Trajectory {
  const config = readConfig(json, RULES, "ddim");
  const alphas = alphasCumprod(config);
  const timesteps = wholeTimesteps(config, steps).slice(begin);
  return {
    initialScale: 1,
    start: { signal: Math.sqrt(alphas[timesteps[0]]), noise: Math.sqrt(1 - alphas[timesteps[0]]) },
    steps: ddim(timesteps, alphas, {
      prediction: config.prediction_type,
      stride: Math.floor(config.num_train_timesteps / steps),
      finalAlpha: config.set_alpha_to_one ? 1 : alphas[0],
      eta,
      clip: clipOf(config),
    }),
  };
}
