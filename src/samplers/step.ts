/** The row of numbers that every sampler reduces one step to, and what a model's output means in it. */

/**
 * One U-Net evaluation and the linear update after it, applied to each element of the latents:
 *
 *     input    = inputScale · latents
 *     raw      = skip · latents + out · model(input, timestep)
 *     D        = clip given ? clamp(raw, −clip, clip) : raw
 *     saved    = saves ? latents : saved
 *     latents ← x · latents + Σ denoised[k] · D₋ₖ + fromSaved · saved + unclipped · raw + noise · n
 *
 * D₋ₖ is the D of k rows ago (k = 0 is this row's): the prediction of the clean latents, or of ε in samplers that follow
 * that (LMS, DPM2, DEIS, DPM-Solver without ++), or in PNDM the model's output as it is. A sampler of several stages saves the latents that its
 * step starts from. `history.ts` finds room for both. A row whose `noise` is 0 draws no n.
 */
export interface Step {
  /** What the U-Net is told, 0 to the training schedule's last; not always whole. */
  timestep: number;
  /** What the latents are before the row: signal · clean + noise · ε. */
  level: Level;
  inputScale: number;
  skip: number;
  out: number;
  /** Largest magnitude that D may have; not clipped where absent. */
  clip?: number;
  x: number;
  /** Weights by rows ago, zeros where a row is passed over. */
  denoised: readonly number[];
  /** Coefficient of this row's prediction before it was clipped; 0 where absent. Only beside `clip`. */
  unclipped?: number;
  /** Whether the latents before this row are saved, in place of those saved before. */
  saves?: boolean;
  /** Coefficient of the saved latents; 0 where absent. A row does not read what it saves itself. */
  fromSaved?: number;
  noise: number;
  /**
   * Of the samplers that solve a stochastic differential equation (DPM++ SDE, 2M SDE, 3M SDE), where `noise` is not 0: the
   * sigmas [from, to], from > to, that n covers. A Brownian path W over the trajectory's `noiseRange` gives
   * n = (W(to) − W(from)) / sqrt(|to − from|), as k-diffusion's BrownianTreeNoiseSampler; independent normals do as well, and
   * are the reference's. Other rows want independent normals. Intervals of one step overlap: [a, b] and then [a, c].
   */
  noiseInterval?: readonly [from: number, to: number];
}

/** How much signal and how much noise latents hold. */
export interface Level {
  signal: number;
  noise: number;
}

/** A whole run, known before the first dispatch. */
export interface Trajectory {
  /** Text-to-image: latents = initialScale · n. */
  initialScale: number;
  /** Image-to-image: latents = signal · clean + noise · n. */
  start: Level;
  /** Draws of n are asked for in the order of the rows. */
  steps: Step[];
  /** Of samplers over sigmas, for their `noiseInterval`: the whole schedule's smallest sigma above 0 and its largest. */
  noiseRange?: readonly [least: number, most: number];
}

/** What a U-Net's output means. */
export type Prediction = "epsilon" | "v_prediction" | "sample";

/** What the model is given, and how its output becomes the D of a row. */
export type Scaling = Pick<Step, "level" | "inputScale" | "skip" | "out">;

/** For latents = signal · clean + noise · ε with signal² + noise² = 1; D is the clean latents. */
export function variancePreserving(prediction: Prediction, signal: number, noise: number): Scaling {
  const common = { level: { signal, noise }, inputScale: 1 };
  switch (prediction) {
    case "epsilon":
      return { ...common, skip: 1 / signal, out: -noise / signal };
    case "v_prediction":
      return { ...common, skip: signal, out: -noise };
    case "sample":
      return { ...common, skip: 0, out: 1 };
    default:
      return prediction satisfies never;
  }
}

/** As `variancePreserving`, but D is ε. */
export function variancePreservingNoise(prediction: Prediction, signal: number, noise: number): Scaling {
  const common = { level: { signal, noise }, inputScale: 1 };
  switch (prediction) {
    case "epsilon":
      return { ...common, skip: 0, out: 1 };
    case "v_prediction":
      return { ...common, skip: noise, out: signal };
    case "sample":
      return { ...common, skip: 1 / noise, out: -signal / noise };
    default:
      return prediction satisfies never;
  }
}

/** For latents = clean + sigma · ε: c_in, c_skip and c_out of Karras et al. (2022), table 1. D is the clean latents. */
export function sigmaSpace(prediction: Prediction, sigma: number): Scaling {
  const deviation = Math.sqrt(sigma ** 2 + 1);
  const common = { level: { signal: 1, noise: sigma }, inputScale: 1 / deviation };
  switch (prediction) {
    case "epsilon":
      return { ...common, skip: 1, out: -sigma };
    case "v_prediction":
      return { ...common, skip: 1 / deviation ** 2, out: -sigma / deviation };
    case "sample":
      return { ...common, skip: 0, out: 1 };
    default:
      return prediction satisfies never;
  }
}

/** As `sigmaSpace`, but D is ε, which is also the slope of the latents over sigma. */
export function sigmaSpaceNoise(prediction: Prediction, sigma: number): Scaling {
  const { level, inputScale, skip, out } = sigmaSpace(prediction, sigma);
  return { level, inputScale, skip: (1 - skip) / sigma, out: -out / sigma };
}

/** The clean latents as skip · latents + out · the model's output, for latents of any level. */
export function cleanPrediction(prediction: Prediction, { signal, noise }: Level): Pick<Step, "skip" | "out"> {
  const squares = signal ** 2 + noise ** 2;
  switch (prediction) {
    case "epsilon":
      return { skip: 1 / signal, out: -noise / signal };
    case "v_prediction":
      return { skip: signal / squares, out: -noise / Math.sqrt(squares) };
    case "sample":
      return { skip: 0, out: 1 };
    default:
      return prediction satisfies never;
  }
}
