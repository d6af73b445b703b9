import { CLIP_RULES, clipOf, flag, number, oneOf, readConfig, type SchedulerJson } from "./config.ts";
import { DISTILLED_RULES, distilledTimesteps } from "./consistency.ts";
import type { RunOptions } from "./options.ts";
import { alphasCumprod } from "./schedule.ts";
import { type Prediction, type Step, type Trajectory, variancePreserving } from "./step.ts";

const RULES = {
  ...DISTILLED_RULES,
  ...CLIP_RULES,
  clip_sample: flag(false),
  prediction_type: oneOf("epsilon", "v_prediction", "sample"),
  timestep_scaling: number(10),
};

/** Deviation of the data that the boundary condition assumes. */
const SIGMA_DATA = 0.5;

/**
 * Multistep latent consistency steps: Luo et al. (2023), "Latent Consistency Models", algorithm 3. A step predicts the clean
 * latents, c_skip · latents + c_out · prediction, and all but the last add noise again, up to the next timestep's level.
 */
export function lcm(
  timesteps: readonly number[],
  alphas: Float32Array,
  { prediction, timestepScaling = 10, clip }: { prediction: Prediction; timestepScaling?: number; clip?: number },
): Step[] {
  return timesteps.map((timestep, i) => {
    const alpha = alphas[timestep], alphaAfter = i + 1 < timesteps.length ? alphas[timesteps[i + 1]] : 1;
    const scaled = timestep * timestepScaling, variance = scaled ** 2 + SIGMA_DATA ** 2;
    const [skip, out] = [SIGMA_DATA ** 2 / variance, scaled / Math.sqrt(variance)], signal = Math.sqrt(alphaAfter);
    return {
      timestep,
      ...variancePreserving(prediction, Math.sqrt(alpha), Math.sqrt(1 - alpha)),
      clip,
      x: signal * skip,
      denoised: [signal * out],
      noise: Math.sqrt(1 - alphaAfter),
    };
  });
}

/** An LCM run with the settings of the reference's LCMScheduler. */
export function lcmTrajectory(json: SchedulerJson, { steps, begin }: RunOptions): Trajectory {
  const config = readConfig(json, RULES, "lcm");
  const alphas = alphasCumprod(config), timesteps = distilledTimesteps(config, steps, "lcm").slice(begin);
  return {
    initialScale: 1,
    start: { signal: Math.sqrt(alphas[timesteps[0]]), noise: Math.sqrt(1 - alphas[timesteps[0]]) },
    steps: lcm(timesteps, alphas, {
      prediction: config.prediction_type,
      timestepScaling: config.timestep_scaling,
      clip: clipOf(config),
    }),
  };
}
