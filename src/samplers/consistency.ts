/** The timesteps of models that were distilled to few steps. */
import { TRAINING_RULES, UnsupportedScheduleError, whole } from "./config.ts";

/** Keys of LCM's and TCD's schedules. */
export const DISTILLED_RULES = { ...TRAINING_RULES, original_inference_steps: whole(50, { least: 1 }) };

/**
 * `steps` of the timesteps that the model was distilled at, evenly spread from the noisiest: the reference's LCMScheduler and
 * TCDScheduler. Throws an UnsupportedScheduleError where these are fewer.
 */
export function distilledTimesteps(
  { num_train_timesteps: training, original_inference_steps: original }: {
    num_train_timesteps: number;
    original_inference_steps: number;
  },
  steps: number,
  sampler: string,
): number[] {
  if (original > training || steps > original) {
    throw new UnsupportedScheduleError(
      `Cannot take ${steps} steps with sampler ${sampler}: the scheduler_config.json has ${original} ` +
        `original_inference_steps and ${training} num_train_timesteps, use no more steps than either`,
    );
  }
  const stride = Math.floor(training / original);
  return Array.from({ length: steps }, (_, i) => (original - Math.floor(i * (original / steps))) * stride - 1);
}
