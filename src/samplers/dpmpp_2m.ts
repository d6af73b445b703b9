import {
  type Config,
  flag,
  number,
  oneOf,
  readConfig,
  type SchedulerJson,
  SIGMA_RULES,
  TRAINING_RULES,
  whole,
} from "./config.ts";
import type { RunOptions } from "./options.ts";
import {
  boundedAlphasCumprod,
  karrasSigmas,
  roundHalfEven,
  scheduleFrom,
  sigmaAt,
  type SigmaSchedule,
  spaceTimesteps,
  timestepsOf,
  trainingSigmas,
} from "./schedule.ts";
import { type Prediction, type Step, type Trajectory, variancePreserving } from "./step.ts";

const RULES = {
  ...TRAINING_RULES,
  ...SIGMA_RULES,
  prediction_type: oneOf("epsilon", "v_prediction", "sample"),
  timestep_spacing: oneOf("linspace", "leading", "trailing"),
  // What other solvers call theirs, the reference takes for the default.
  algorithm_type: oneOf("dpmsolver++", "deis"),
  solver_type: oneOf("midpoint", "heun", "logrho", "bh1", "bh2"),
  solver_order: whole(2, { least: 1 }),
  lower_order_final: flag(true),
  euler_at_final: flag(false),
  use_lu_lambdas: oneOf(false),
  use_flow_sigmas: oneOf(false),
  lambda_min_clipped: number(-Infinity),
  variance_type: oneOf("fixed_small", "fixed_small_log", "fixed_large", "fixed_large_log"),
  thresholding: oneOf(false),
};

/** A run of this many steps or more keeps its order to the end. */
const MANY_STEPS = 15;

/** How a multistep solver combines predictions. */
interface Solver {
  /** Most predictions that a step uses: 1 to 3. */
  order: number;
  /** Steps before the end from which on the order falls to 2 and to 1; 0 keeps it. */
  falling: number;
  heun?: boolean;
}

/**
 * DPM-Solver++ steps: Lu et al. (2022), "DPM-Solver++", algorithm 2 (multistep) and its third-order sequel.
 * Latents are alpha · (clean + sigma · ε) with alpha = 1 / sqrt(sigma² + 1); the order grows with the predictions at hand.
 */
export function dpmpp(schedule: SigmaSchedule, prediction: Prediction, { order, falling, heun }: Solver): Step[] {
  const { timesteps, sigmas } = schedule;
  const alpha = (i: number) => 1 / Math.sqrt(sigmas[i] ** 2 + 1);
  /** What lambda = −log(sigma) grows by in step `i`. */
  const growth = (i: number) => Math.log(sigmas[i] / sigmas[i + 1]);
  return timesteps.map((timestep, i) => {
    const left = timesteps.length - i;
    return {
      timestep,
      ...variancePreserving(prediction, alpha(i), alpha(i) * sigmas[i]),
      x: alpha(i + 1) * sigmas[i + 1] / (alpha(i) * sigmas[i]),
      denoised: weights(Math.min(order, i + 1, left <= falling ? left : order)),
      noise: 0,
    };

    function weights(order: number): number[] {
      const decay = sigmas[i + 1] / sigmas[i] - 1; // e^−h − 1
      const full = -alpha(i + 1) * decay;
      if (order === 1) return [full];
      const h = growth(i);
      const r0 = growth(i - 1) / h;
      const slope = order === 3 || heun ? alpha(i + 1) * (decay / h + 1) : full / 2;
      if (order === 2) return [full + slope / r0, -slope / r0];
      const r1 = growth(i - 2) / h;
      const curve = -alpha(i + 1) * ((decay + h) / h ** 2 - 0.5);
      const bend = (slope * r0 + curve) / (r0 + r1);
      const [near, far] = [(slope + bend) / r0, -bend / r1];
      return [full + near, far - near, -far];
    }
  });
}

/** A DPM++ 2M run with the settings of the reference's DPMSolverMultistepScheduler. */
export function dpmppTrajectory(json: SchedulerJson, { steps, begin, karras }: RunOptions): Trajectory {
  const config = readConfig(json, RULES, "dpmpp_2m");
  const schedule = dpmppSchedule(config, steps, karras ?? config.use_karras_sigmas);
  const few = config.lower_order_final && schedule.timesteps.length < MANY_STEPS;
  const last = config.euler_at_final || config.final_sigmas_type === "zero";
  const sigma = schedule.sigmas[begin];
  return {
    initialScale: 1,
    start: { signal: 1 / Math.sqrt(sigma ** 2 + 1), noise: sigma / Math.sqrt(sigma ** 2 + 1) },
    steps: dpmpp(scheduleFrom(schedule, begin), config.prediction_type, {
      order: Math.min(config.solver_order, 3),
      falling: few ? 2 : last ? 1 : 0,
      heun: config.solver_type === "heun",
    }),
  };
}

function dpmppSchedule(config: Config<typeof RULES>, steps: number, karras: boolean): SigmaSchedule {
  const { num_train_timesteps: training, steps_offset: offset, timestep_spacing: spacing } = config;
  const trained = trainingSigmas(boundedAlphasCumprod(config));
  // The noisy end of training where lambda = −log(sigma) is below the bound is left out.
  const last = trained.findLastIndex((sigma) => -Math.log(sigma) >= config.lambda_min_clipped) + 1;
  let timesteps = spaceTimesteps({ spacing, training, last, offset, steps, points: steps + 1 }).map(roundHalfEven);
  let sigmas = timesteps.map((timestep) => sigmaAt(timestep, trained));
  if (karras) {
    const { sigma_min: min, sigma_max: max } = config;
    sigmas = karrasSigmas({ min: min ?? trained[0], max: max ?? trained.at(-1)!, steps });
    const round = config.beta_schedule === "squaredcos_cap_v2" ? Math.trunc : roundHalfEven;
    timesteps = timestepsOf(sigmas, trained).map(round);
  }
  sigmas = [...sigmas, config.final_sigmas_type === "zero" ? 0 : trained[0]].map(Math.fround);
  return { timesteps, sigmas };
}
