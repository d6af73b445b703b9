/** The row of numbers that every sampler reduces one step to, and what a model's output means in it. */

/**
 * One U-Net evaluation and the linear update after it, applied to each element of the latents:
 *
 *     input    = inputScale · latents
 *     raw      = skip · latents + out · model(input, timestep)
 *     D        = clip given ? clamp(raw, −clip, clip) : raw
 *     latents ← x · latents + Σ denoised[k] · D₋ₖ + unclipped · raw + noise · n
 *
 * D₋ₖ is the D of k rows ago (k = 0 this row's), at most four. A row whose `noise` is 0 draws no n.
 */
export interface Step {
  /** What the U-Net is told, 0 to the training schedule's last; not always whole. */
  timestep: number;
  inputScale: number;
  skip: number;
  out: number;
  /** Largest magnitude that D may have; not clipped where absent. */
  clip?: number;
  x: number;
  denoised: readonly number[];
  /** Coefficient of this row's prediction before it was clipped; 0 where absent. Only beside `clip`. */
  unclipped?: number;
  noise: number;
}

/** A whole run, known before the first dispatch. */
export interface Trajectory {
  /** Text-to-image: latents = initialScale · n. */
  initialScale: number;
  /** Image-to-image: latents = signal · clean + noise · n. */
  start: { signal: number; noise: number };
  steps: Step[];
}

/** What a U-Net's output means. */
export type Prediction = "epsilon" | "v_prediction" | "sample";

/** What the model is given, and how its output becomes a prediction of the clean latents. */
export type Scaling = Pick<Step, "inputScale" | "skip" | "out">;

/** For latents = signal · clean + noise · ε with signal² + noise² = 1. */
export function variancePreserving(prediction: Prediction, signal: number, noise: number): Scaling {
  switch (prediction) {
    case "epsilon":
      return { inputScale: 1, skip: 1 / signal, out: -noise / signal };
    case "v_prediction":
      return { inputScale: 1, skip: signal, out: -noise };
    case "sample":
      return { inputScale: 1, skip: 0, out: 1 };
    default:
      return prediction satisfies never;
  }
}

/** For latents = clean + sigma · ε: c_in, c_skip and c_out of Karras et al. (2022), table 1. */
export function sigmaSpace(prediction: Prediction, sigma: number): Scaling {
  const deviation = Math.sqrt(sigma ** 2 + 1);
  switch (prediction) {
    case "epsilon":
      return { inputScale: 1 / deviation, skip: 1, out: -sigma };
    case "v_prediction":
      return { inputScale: 1 / deviation, skip: 1 / deviation ** 2, out: -sigma / deviation };
    case "sample":
      return { inputScale: 1 / deviation, skip: 0, out: 1 };
    default:
      return prediction satisfies never;
  }
}
