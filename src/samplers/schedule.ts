/** Noise schedules: the one of training, and the timesteps and sigmas that a run takes from it. */
import { type TrainingConfig, UnsupportedScheduleError } from "./config.ts";

/** How a run's timesteps are spread over training's: Lin et al. (2023), table 2. */
export type Spacing = "leading" | "trailing" | "linspace";

/** Where a run is: noise levels from high to low, and the timestep of each but the last. */
export interface SigmaSchedule {
  timesteps: readonly number[];
  /** At least one more than there are timesteps: the level that the last step ends at. */
  sigmas: readonly number[];
  /** The timestep of a noise level in between. */
  timestepAt(sigma: number): number;
}

/**
 * Running product of 1 − beta for every training timestep: the share of the signal's variance that is left, in single
 * precision as the models' own schedulers have it. With `rescale_betas_zero_snr` the last one is 0: Lin et al. (2023),
 * algorithm 1. Throws an UnsupportedScheduleError where `trained_betas` has another length than training.
 */
export function alphasCumprod(config: TrainingConfig): Float32Array {
  const betas = trainingBetas(config);
  if (!config.rescale_betas_zero_snr) return runningProduct(betas);

  let root = runningProduct(betas).map(Math.sqrt);
  const first = root[0];
  const last = root.at(-1)!;
  const scale = Math.fround(first / Math.fround(first - last));
  root = root.map((value) => value - last).map((value) => value * scale);
  const product = root.map((value) => value * value);
  const rescaled = product.map((value, i) => i === 0 ? value : value / product[i - 1]).map((alpha) => 1 - alpha);
  return runningProduct(rescaled);
}

function trainingBetas(config: TrainingConfig): Float32Array {
  const { num_train_timesteps: count, beta_start, beta_end, beta_schedule, trained_betas } = config;
  if (trained_betas) {
    if (trained_betas.length === count) return Float32Array.from(trained_betas);
    throw new UnsupportedScheduleError(
      `Cannot use this scheduler_config.json: it has ${trained_betas.length} trained_betas for ${count} timesteps`,
    );
  }
  switch (beta_schedule) {
    case "linear":
      return singleLinspace(beta_start, beta_end, count);
    case "scaled_linear":
      return singleLinspace(Math.sqrt(beta_start), Math.sqrt(beta_end), count).map((value) => value * value);
    case "squaredcos_cap_v2": {
      const signal = (time: number) => Math.cos((time + 0.008) / 1.008 * Math.PI / 2) ** 2;
      return Float32Array.from(
        { length: count },
        (_, i) => Math.min(1 - signal((i + 1) / count) / signal(i / count), 0.999),
      );
    }
    default:
      return beta_schedule satisfies never;
  }
}

function runningProduct(betas: Float32Array): Float32Array {
  let product = 1;
  return betas.map((beta) => product *= Math.fround(1 - beta));
}

/** Noise level of every training timestep in units of the signal: sqrt((1 − a) / a). */
export function trainingSigmas(alphas: Float32Array): Float32Array {
  return alphas.map((alpha) => Math.sqrt(Math.fround(Math.fround(1 - alpha) / alpha)));
}

/**
 * As `alphasCumprod`, for samplers that divide by the signal: a zero terminal signal-to-noise ratio becomes 2⁻²⁴, so that
 * the first sigma is 4096 and not infinite.
 */
export function boundedAlphasCumprod(config: TrainingConfig): Float32Array {
  const alphas = alphasCumprod(config);
  if (config.rescale_betas_zero_snr) alphas[alphas.length - 1] = 2 ** -24;
  return alphas;
}

/**
 * The timesteps of a run, from high to low. Those of `linspace` are not rounded yet.
 * The schedule's `last` timesteps (all, unless its noisy end is cut off) are divided at `points`, of which the first
 * `steps` are used: solvers that need a point behind the last step divide at one more.
 */
export function spaceTimesteps(
  { spacing, training, last = training, offset, steps, points = steps }: {
    spacing: Spacing;
    training: number;
    last?: number;
    offset: number;
    steps: number;
    points?: number;
  },
): number[] {
  switch (spacing) {
    case "linspace":
      return linspace(0, last - 1, points).reverse().slice(0, steps);
    case "leading": {
      const stride = Math.floor(last / points);
      return Array.from({ length: points }, (_, i) => i * stride + offset).reverse().slice(0, steps);
    }
    case "trailing": {
      const stride = training / steps;
      // Halves are common here, so the rounding errors are those of numpy.arange: it multiplies the first difference.
      // Where they give it one more timestep, below 0 (61 steps of 1000), that one is left out.
      const difference = (last - stride) - last;
      const count = Math.min(Math.ceil(last / stride), steps);
      return Array.from({ length: count }, (_, i) => roundHalfEven(last + i * difference) - 1);
    }
    default:
      return spacing satisfies never;
  }
}

/**
 * The whole timesteps of DDPM and DDIM, high to low.
 * Throws an UnsupportedScheduleError where `steps_offset` moves one past the end of training.
 */
export function wholeTimesteps(
  config: { num_train_timesteps: number; steps_offset: number; timestep_spacing: Spacing },
  steps: number,
): number[] {
  const { num_train_timesteps: training, steps_offset: offset, timestep_spacing: spacing } = config;
  const timesteps = spaceTimesteps({ spacing, training, offset, steps }).map(roundHalfEven);
  const [first] = timesteps;
  if (first < training) return timesteps;
  throw new UnsupportedScheduleError(
    `Cannot take ${steps} steps: steps_offset ${offset} moves the first to timestep ${first}, past training's last ` +
      `(${training - 1}); take fewer steps`,
  );
}

/** The rest of a schedule from step `begin` on. */
export function scheduleFrom({ timesteps, sigmas, timestepAt }: SigmaSchedule, begin: number): SigmaSchedule {
  return { timesteps: timesteps.slice(begin), sigmas: sigmas.slice(begin), timestepAt };
}

/** The training sigma at a timestep that need not be whole, by linear interpolation; beyond the ends the end's. */
export function sigmaAt(timestep: number, sigmas: Float32Array): number {
  const place = Math.min(Math.max(timestep, 0), sigmas.length - 1);
  const low = Math.min(Math.floor(place), sigmas.length - 2);
  return low < 0 ? sigmas[0] : sigmas[low] + (place - low) * (sigmas[low + 1] - sigmas[low]);
}

/** Finds the timestep, not always whole, that a sigma has: by linear interpolation of the logarithms of training's. */
export function timestepFinder(training: Float32Array): (sigma: number) => number {
  const logs = training.map(Math.log), last = logs.length - 1;
  return (sigma) => {
    if (last < 1) return 0;
    const log = Math.log(Math.max(sigma, 1e-10));
    // The first index above, as training's sigmas grow.
    let [above, end] = [0, logs.length];
    while (above < end) {
      const middle = (above + end) >> 1;
      if (logs[middle] > log) end = middle;
      else above = middle + 1;
    }
    const low = Math.min(Math.max(above, 1), last) - 1;
    const weight = (logs[low] - log) / Math.fround(logs[low] - logs[low + 1]);
    return low + Math.min(Math.max(weight, 0), 1);
  };
}

/** `count` numbers from `from` to `to`, both included; only `from` where there is one. */
export function linspace(from: number, to: number, count: number): number[] {
  const stride = (to - from) / (count - 1);
  return Array.from({ length: count }, (_, i) => i > 0 && i === count - 1 ? to : i === 0 ? from : from + i * stride);
}

/** As `linspace`, in single precision, from both ends towards the middle and by fused multiply-add, as torch does it. */
export function singleLinspace(from: number, to: number, count: number): Float32Array {
  const [first, last] = [Math.fround(from), Math.fround(to)];
  const stride = Math.fround(Math.fround(last - first) / (count - 1));
  return Float32Array.from({ length: count }, (_, i) => {
    if (count === 1) return first;
    return i < Math.floor(count / 2) ? first + stride * i : last - stride * (count - 1 - i);
  });
}

/** The nearest whole number, the even one of two: as numpy and torch round. */
export function roundHalfEven(value: number): number {
  const floor = Math.floor(value);
  const rest = value - floor;
  return rest < 0.5 || (rest === 0.5 && floor % 2 === 0) ? floor : floor + 1;
}
