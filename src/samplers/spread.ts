/** How a run's noise levels are spread between the largest and the smallest: every schedule that has a name. */
import { betaQuantile } from "./beta.ts";
import type { SchedulerName } from "./names.ts";
import { linspace, timestepFinder } from "./schedule.ts";

/** What sigmas are spread over. */
export interface SigmaRange {
  min: number;
  max: number;
  steps: number;
}

/** Karras et al. (2022), equation 5 with rho = 7: `steps` sigmas from `max` down to `min`. */
export function karrasSigmas({ min, max, steps }: SigmaRange): number[] {
  const rho = 7;
  const high = max ** (1 / rho);
  const low = min ** (1 / rho);
  return linspace(0, 1, steps).map((ramp) => (high + ramp * (low - high)) ** rho);
}

/** Even steps of log sigma. */
export function exponentialSigmas({ min, max, steps }: SigmaRange): number[] {
  return linspace(Math.log(max), Math.log(min), steps).map(Math.exp);
}

/** Lee et al. (2024), "Beta Sampling is All You Need": quantiles of the beta distribution with both parameters 0.6. */
export function betaSigmas({ min, max, steps }: SigmaRange): number[] {
  return linspace(0, 1, steps).map((ramp) => min + betaQuantile(1 - ramp, 0.6, 0.6) * (max - min));
}

/** A schedule that a request can name. */
export type NamedScheduler = Exclude<SchedulerName, "automatic">;

/**
 * The sigmas of a schedule as A1111 defines it by (steps, smallest, largest): high to low, the level that the last step
 * ends at included, which is 0 in all but `kl_optimal`. `trained` are training's, low to high. `ddim` takes whole strides
 * of training, so it may have one step more or less than asked for.
 */
export function namedSigmas(name: NamedScheduler, steps: number, trained: Float32Array): number[] {
  const range = { min: trained[0], max: trained.at(-1)!, steps }, last = trained.length - 1;
  switch (name) {
    case "uniform":
    case "normal":
      return [...linspace(last, 0, steps).map((timestep) => logSigmaAt(timestep, trained)), 0];
    case "karras":
      return [...karrasSigmas(range), 0];
    case "exponential":
    case "polyexponential": // A power of the logarithms' ramp, which A1111 leaves at 1.
      return [...exponentialSigmas(range), 0];
    case "sgm_uniform":
      return [...linspace(last, 0, steps + 1).slice(0, -1).map((timestep) => logSigmaAt(timestep, trained)), 0];
    case "simple":
      return [...Array.from({ length: steps }, (_, i) => trained[last - Math.floor(i * (trained.length / steps))]), 0];
    case "ddim": {
      const stride = Math.max(Math.floor(trained.length / steps), 1);
      return [...trained.filter((_, i) => i > 0 && (i - 1) % stride === 0).reverse(), 0];
    }
    case "beta":
      return [...betaSigmas(range), 0];
    case "align_your_steps":
      return [...alignYourSteps(steps), 0];
    case "kl_optimal": {
      const [low, high] = [Math.atan(range.min), Math.atan(range.max)];
      return Array.from({ length: steps + 1 }, (_, i) => Math.tan(i / steps * low + (1 - i / steps) * high));
    }
    default:
      return name satisfies never;
  }
}

/** Sabour et al. (2024), "Align Your Steps": what was found best for ten steps of SD 1.5, between by its logarithms. */
function alignYourSteps(steps: number): number[] {
  const best = [14.615, 6.475, 3.861, 2.697, 1.886, 1.396, 0.963, 0.652, 0.399, 0.152, 0.029];
  if (steps === best.length) return best;
  const logs = best.map(Math.log).reverse();
  return linspace(0, 1, steps).map((place) => Math.exp(interpolate(place * (logs.length - 1), logs))).reverse();
}

/** The training sigma at a timestep that need not be whole, by linear interpolation of the logarithms. */
function logSigmaAt(timestep: number, trained: Float32Array): number {
  const low = Math.floor(timestep);
  if (low === timestep) return trained[low];
  const weight = timestep - low;
  return Math.exp((1 - weight) * Math.log(trained[low]) + weight * Math.log(trained[low + 1]));
}

function interpolate(place: number, values: readonly number[]): number {
  const low = Math.min(Math.floor(place), values.length - 2);
  return values[low] + (place - low) * (values[low + 1] - values[low]);
}

/** What `use_…_sigmas` of a scheduler_config.json asks for, with the timesteps that the sigmas have; undefined for none. */
export function configuredSigmas(
  config: {
    use_karras_sigmas: boolean;
    use_exponential_sigmas: boolean;
    use_beta_sigmas: boolean;
    sigma_min: number | null;
    sigma_max: number | null;
  },
  { min, max, steps }: SigmaRange,
  trained: Float32Array,
): { sigmas: number[]; timesteps: number[] } | undefined {
  const spread = config.use_karras_sigmas
    ? karrasSigmas
    : config.use_exponential_sigmas
    ? exponentialSigmas
    : config.use_beta_sigmas
    ? betaSigmas
    : undefined;
  const sigmas = spread?.({ min: config.sigma_min ?? min, max: config.sigma_max ?? max, steps });
  return sigmas && { sigmas, timesteps: sigmas.map(timestepFinder(trained)) };
}
