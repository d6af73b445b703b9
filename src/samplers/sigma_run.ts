/** Where a run in sigma space, with latents = clean + sigma · ε, takes its noise levels from. */
import { checkOneSpread, type SigmaConfig, type TrainingConfig, UnsupportedScheduleError } from "./config.ts";
import type { RunOptions } from "./options.ts";
import {
  boundedAlphasCumprod,
  roundHalfEven,
  scheduleFrom,
  sigmaAt,
  type SigmaSchedule,
  singleLinspace,
  spaceTimesteps,
  type Spacing,
  timestepFinder,
  trainingSigmas,
} from "./schedule.ts";
import { configuredSigmas, namedSigmas } from "./spread.ts";
import type { Trajectory } from "./step.ts";

/** A run's noise levels, and how its latents begin. */
export interface SigmaRun {
  /** The levels of the whole run, and of the part that is taken. */
  whole: SigmaSchedule;
  schedule: SigmaSchedule;
  begin: Pick<Trajectory, "initialScale" | "start" | "noiseRange">;
}

/** What classes differ in. */
interface Variation {
  /** Training's sigmas between timesteps: on a line, or as an even fall of the logarithms. */
  interpolation?: "linear" | "log_linear";
  /** The level that the last step ends at. */
  finalSigma?: "zero" | "sigma_min";
  /** Whether timesteps of Karras's sigmas are rounded. */
  wholeKarras?: boolean;
  /** Whether A1111 leaves out the last level above 0 of a schedule with one step more. */
  discardsNextToLast?: boolean;
}

/**
 * The levels of a run: with scheduler `automatic` those of the config, as the reference's classes have them, and with
 * another those of A1111.
 */
export function sigmaRun(
  config: TrainingConfig & SigmaConfig & { timestep_spacing: Spacing },
  options: RunOptions,
  variation: Variation = {},
): SigmaRun {
  const trained = trainingSigmas(boundedAlphasCumprod(config));
  const isNamed = options.scheduler !== "automatic";
  const levels = isNamed
    ? namedLevels(trained, options, variation)
    : configuredLevels(config, trained, options, variation);
  const whole = { ...levels, timestepAt: timestepFinder(trained) };
  const schedule = scheduleFrom(whole, options.begin), { sigmas } = whole, max = Math.max(...sigmas);
  return {
    whole,
    schedule,
    begin: {
      // Only `leading` leaves room for the picture's own variance beside the noise's.
      initialScale: !isNamed && config.timestep_spacing === "leading" ? Math.sqrt(max ** 2 + 1) : max,
      start: { signal: 1, noise: schedule.sigmas[0] },
      noiseRange: [Math.min(...sigmas.filter((sigma) => sigma > 0)), max],
    },
  };
}

type Levels = Pick<SigmaSchedule, "timesteps" | "sigmas">;

/**
 * The levels of a schedule that A1111 has a name for. Throws an UnsupportedScheduleError where so few steps leave none that
 * a picture can start from: those of `ddim` and `align_your_steps` are the last ones of more.
 */
export function namedLevels(
  trained: Float32Array,
  { scheduler, steps }: RunOptions,
  { discardsNextToLast = false }: Pick<Variation, "discardsNextToLast"> = {},
): Levels {
  if (scheduler === "automatic") throw new TypeError("An automatic schedule has no levels of its own");
  const sigmas = namedSigmas(scheduler, discardsNextToLast ? steps + 1 : steps, trained);
  if (discardsNextToLast) sigmas.splice(-2, 1);
  if (sigmas[0] < 1) {
    throw new UnsupportedScheduleError(
      `Cannot take ${steps} step with scheduler ${scheduler}: it would start with more picture than noise; take 2 or more`,
      "steps",
    );
  }
  return { sigmas, timesteps: sigmas.slice(0, -1).map(timestepFinder(trained)) };
}

function configuredLevels(
  config: TrainingConfig & SigmaConfig & { timestep_spacing: Spacing },
  trained: Float32Array,
  { steps }: RunOptions,
  { interpolation = "linear", finalSigma = "zero", wholeKarras = false }: Variation,
): Levels {
  checkOneSpread(config);
  const { num_train_timesteps: training, steps_offset: offset, timestep_spacing: spacing } = config;
  let timesteps = spaceTimesteps({ spacing, training, offset, steps }).map(Math.fround);
  // The logarithmic spacing has one sigma more than there are steps, so it never comes down to the last.
  let sigmas = interpolation === "linear"
    ? timesteps.map((timestep) => sigmaAt(timestep, trained))
    : Array.from(singleLinspace(Math.log(trained.at(-1)!), Math.log(trained[0]), steps + 1), Math.exp);
  const spread = configuredSigmas(config, { min: sigmas.at(-1)!, max: sigmas[0], steps }, trained);
  if (spread) {
    sigmas = spread.sigmas;
    timesteps = wholeKarras && config.use_karras_sigmas ? spread.timesteps.map(roundHalfEven) : spread.timesteps;
  }
  return { timesteps, sigmas: [...sigmas, finalSigma === "zero" ? 0 : trained[0]].map(Math.fround) };
}

/** For classes that know no `use_…_sigmas`. */
export const spacedOnly: SigmaConfig = {
  use_karras_sigmas: false,
  use_exponential_sigmas: false,
  use_beta_sigmas: false,
  sigma_min: null,
  sigma_max: null,
};
