/** Where a run of the solvers, with variance-preserving latents, takes its noise levels from. */
import {
  checkOneSpread,
  flag,
  oneOf,
  SIGMA_RULES,
  type SigmaConfig,
  TRAINING_RULES,
  type TrainingConfig,
  UnsupportedScheduleError,
} from "./config.ts";
import { signalOf } from "./exponential.ts";
import type { RunOptions } from "./options.ts";
import {
  boundedAlphasCumprod,
  roundHalfEven,
  sigmaAt,
  type SigmaSchedule,
  spaceTimesteps,
  type Spacing,
  timestepFinder,
  trainingSigmas,
} from "./schedule.ts";
import { namedLevels } from "./sigma_run.ts";
import { configuredSigmas } from "./spread.ts";
import type { Trajectory } from "./step.ts";

/** Keys that all solvers read. */
export const SOLVER_RULES = {
  ...TRAINING_RULES,
  ...SIGMA_RULES,
  prediction_type: oneOf("epsilon", "v_prediction", "sample"),
  timestep_spacing: oneOf("linspace", "leading", "trailing"),
  use_flow_sigmas: oneOf(false),
};

/** Clipping of the solvers that integrate clean latents: the reference's threshold, as `CLIP_RULES` say. */
export const THRESHOLD_RULES = { thresholding: flag(false), sample_max_value: oneOf(1) };

/** A run of this many steps or more keeps its order to the end. */
export const MANY_STEPS = 15;

/** A run's noise levels, and how its latents begin. */
export interface SolverRun {
  /** The levels of the whole run: a part of it starts at its own step. */
  schedule: SigmaSchedule;
  /** Whether they are A1111's: its solvers lower the order only where a step ends at 0. */
  isNamed: boolean;
  begin: Pick<Trajectory, "initialScale" | "start" | "noiseRange">;
}

/** What classes differ in. */
interface Variation {
  /** The level that the last step ends at: none, training's lowest, or with a spread of its own that spread's lowest. */
  finalSigma: "zero" | "sigma_min" | "last";
  /** Training's noisy end where lambda is below this is left out. */
  leastLambda?: number;
  /** Sigmas at even lambdas: Lu et al. (2022). */
  evenLambdas?: boolean;
  /** Whether timesteps of Karras's sigmas are rounded; those of others are always cut. */
  wholeKarras?: boolean;
  discardsNextToLast?: boolean;
}

/**
 * The levels of a run: with scheduler `automatic` those of the config, as the reference's classes have them, and with
 * another those of A1111. Throws an UnsupportedScheduleError where the first two steps would share a timestep.
 */
export function solverRun(
  config: TrainingConfig & SigmaConfig & { timestep_spacing: Spacing },
  options: RunOptions,
  variation: Variation,
): SolverRun {
  const trained = trainingSigmas(boundedAlphasCumprod(config));
  const isNamed = options.scheduler !== "automatic";
  const levels = isNamed
    ? namedLevels(trained, options, variation)
    : configuredLevels(config, trained, options, variation);
  const schedule = { ...levels, timestepAt: timestepFinder(trained) };
  const { timesteps, sigmas } = schedule, sigma = sigmas[options.begin];
  if (!isNamed && options.begin === 0 && timesteps[0] === timesteps[1]) {
    throw new UnsupportedScheduleError(
      `Cannot take ${options.steps} steps with this scheduler_config.json: its sigmas give the first two the same timestep, ` +
        `${timesteps[0]}; take fewer steps or name a scheduler`,
    );
  }
  const alpha = signalOf(sigma), start = { signal: alpha, noise: alpha * sigma };
  return {
    schedule,
    isNamed,
    begin: {
      initialScale: isNamed ? start.noise : 1,
      start,
      noiseRange: [Math.min(...sigmas.filter((sigma) => sigma > 0)), Math.max(...sigmas)],
    },
  };
}

function configuredLevels(
  config: TrainingConfig & SigmaConfig & { timestep_spacing: Spacing },
  trained: Float32Array,
  { steps }: RunOptions,
  { finalSigma, leastLambda = -Infinity, evenLambdas = false, wholeKarras = true }: Variation,
): Pick<SigmaSchedule, "timesteps" | "sigmas"> {
  checkOneSpread(config);
  const { num_train_timesteps: training, steps_offset: offset, timestep_spacing: spacing } = config;
  const last = trained.findLastIndex((sigma) => -Math.log(sigma) >= leastLambda) + 1;
  let timesteps = spaceTimesteps({ spacing, training, last, offset, steps, points: steps + 1 }).map(roundHalfEven);
  let sigmas = timesteps.map((timestep) => sigmaAt(timestep, trained));
  const range = { min: trained[0], max: trained.at(-1)!, steps };
  const even = evenLambdas && !config.use_karras_sigmas
    ? { use_exponential_sigmas: true, sigma_min: null, sigma_max: null }
    : {};
  const spread = configuredSigmas({ ...config, ...even }, range, trained);
  if (spread) {
    sigmas = spread.sigmas;
    const isRounded = wholeKarras && (config.use_karras_sigmas || evenLambdas);
    timesteps = spread.timesteps.map(isRounded ? roundHalfEven : Math.trunc);
  }
  const final = finalSigma === "zero" ? 0 : finalSigma === "last" && spread ? sigmas.at(-1)! : trained[0];
  return { timesteps, sigmas: [...sigmas, final].map(Math.fround) };
}
