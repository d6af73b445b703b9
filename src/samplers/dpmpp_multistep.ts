import { flag, number, oneOf, readConfig, type SchedulerJson, whole } from "./config.ts";
import { type Integrand, type Integrator, integrator, signalOf } from "./exponential.ts";
import type { RunOptions } from "./options.ts";
import type { SigmaSchedule } from "./schedule.ts";
import { MANY_STEPS, SOLVER_RULES, solverRun, THRESHOLD_RULES } from "./solver_run.ts";
import { type Prediction, type Step, type Trajectory, variancePreserving, variancePreservingNoise } from "./step.ts";

const RULES = {
  ...SOLVER_RULES,
  ...THRESHOLD_RULES,
  // What other solvers call theirs, the reference takes for the default. Names here say whether a run is stochastic.
  algorithm_type: oneOf("dpmsolver++", "sde-dpmsolver++", "deis", "dpmsolver"),
  solver_type: oneOf("midpoint", "heun", "logrho", "bh1", "bh2"),
  solver_order: whole(2, { least: 1 }),
  lower_order_final: flag(true),
  euler_at_final: flag(false),
  use_lu_lambdas: flag(false),
  final_sigmas_type: oneOf("zero", "sigma_min"),
  lambda_min_clipped: number(-Infinity),
  variance_type: oneOf("fixed_small", "fixed_small_log", "fixed_large", "fixed_large_log"),
};

/** The reference's stochastic third order has a wrong sign; DPM++ 3M SDE is the one to ask for. */
const SDE_RULES = {
  ...RULES,
  solver_order: whole(2, { least: 1, most: 2 }),
  algorithm_type: oneOf("dpmsolver++", "sde-dpmsolver++", "deis"),
};

/** How a multistep solver combines predictions. */
interface Solver {
  /** Most predictions that a step uses: 1 to 3. */
  order: number;
  /** Steps before the end from which on the order falls to 2 and to 1; 0 keeps it. */
  falling: number;
  /** Whether the second order weighs the slope by its integral, and not as at the middle of the step. */
  heun?: boolean;
  /** Share of the noise that a step replaces: 0 solves the ordinary equation, 1 the stochastic one. */
  eta?: number;
  integrand?: Integrand;
  /** First step that is taken. */
  begin?: number;
  clip?: number;
}

/**
 * Multistep DPM-Solver++ steps: Lu et al. (2022), "DPM-Solver++", algorithm 2 and its third-order sequel, and with `eta` its
 * stochastic form (k-diffusion, sample_dpmpp_2m_sde and sample_dpmpp_3m_sde). With integrand "noise" it is DPM-Solver.
 * Latents are alpha · (clean + sigma · ε) with alpha = 1 / sqrt(sigma² + 1); the order grows with the predictions at hand.
 */
export function dpmpp(
  { timesteps, sigmas }: SigmaSchedule,
  prediction: Prediction,
  { order, falling, heun = false, eta = 0, integrand = "clean", begin = 0, clip }: Solver,
): Step[] {
  const scaling = integrand === "clean" ? variancePreserving : variancePreservingNoise;
  /** What lambda = −log(sigma) grows by in step `i`. */
  const growth = (i: number) => Math.log(sigmas[i] / sigmas[i + 1]);
  return timesteps.slice(begin).map((timestep, row) => {
    const i = begin + row, left = timesteps.length - i, step = integrator(sigmas[i], sigmas[i + 1], integrand, eta);
    const used = Math.min(order, row + 1, left <= falling ? left : order);
    const ratios = [growth(i - 1) / growth(i), growth(i - 2) / growth(i)];
    return {
      timestep,
      ...scaling(prediction, signalOf(sigmas[i]), signalOf(sigmas[i]) * sigmas[i]),
      clip,
      x: step.x,
      denoised: weights(step, used, ratios, heun || used === 3),
      noise: step.noise,
      ...(step.noise > 0 ? { noiseInterval: [sigmas[i], sigmas[i + 1]] as const } : {}),
    };
  });
}

/** What the last `order` predictions, which lie `r0` and `r0 + r1` steps back, are multiplied by. */
function weights(
  { scale, first, second, third }: Integrator,
  order: number,
  [r0, r1]: number[],
  heun: boolean,
): number[] {
  const full = -scale * first;
  if (order === 1) return [full];
  const slope = heun ? -scale * second : full / 2;
  if (order === 2) return [full + slope / r0, -slope / r0];
  const bend = (slope * r0 - scale * third) / (r0 + r1);
  const [near, far] = [(slope + bend) / r0, -bend / r1];
  return [full + near, far - near, -far];
}

/** A DPM++ 2M run with the settings of the reference's DPMSolverMultistepScheduler. */
export function dpmpp2mTrajectory(json: SchedulerJson, options: RunOptions): Trajectory {
  return trajectory(json, { ...options, eta: 0 }, "dpmpp_2m");
}

/** A DPM++ 2M SDE run with the settings of the same class and algorithm_type sde-dpmsolver++. */
export function dpmpp2mSdeTrajectory(json: SchedulerJson, options: RunOptions): Trajectory {
  return trajectory(json, options, "dpmpp_2m_sde");
}

/** As DPM++ 2M SDE, with solver_type heun. */
export function dpmpp2mSdeHeunTrajectory(json: SchedulerJson, options: RunOptions): Trajectory {
  return trajectory({ ...json, solver_type: "heun" }, options, "dpmpp_2m_sde_heun");
}

/** A DPM++ 3M SDE run: k-diffusion's, whatever order the config names. */
export function dpmpp3mSdeTrajectory(json: SchedulerJson, options: RunOptions): Trajectory {
  const config = readConfig(json, RULES, "dpmpp_3m_sde");
  const { begin, schedule } = solverRun(config, options, {
    finalSigma: config.final_sigmas_type,
    discardsNextToLast: true,
  });
  const solver = {
    order: 3,
    falling: schedule.sigmas.at(-1) === 0 ? 1 : 0,
    heun: true,
    clip: config.thresholding ? 1 : undefined,
  };
  return {
    ...begin,
    steps: dpmpp(schedule, config.prediction_type, { ...solver, eta: options.eta, begin: options.begin }),
  };
}

type Name = "dpmpp_2m" | "dpmpp_2m_sde" | "dpmpp_2m_sde_heun";

function trajectory(json: SchedulerJson, options: RunOptions, name: Name): Trajectory {
  const config = readConfig(json, name === "dpmpp_2m" ? RULES : SDE_RULES, name);
  const { solver_order: order, solver_type, final_sigmas_type: finalSigma, beta_schedule } = config;
  const { begin, schedule, isNamed } = solverRun(config, options, {
    finalSigma,
    leastLambda: config.lambda_min_clipped,
    evenLambdas: config.use_lu_lambdas,
    wholeKarras: beta_schedule !== "squaredcos_cap_v2",
  });
  const endsAtZero = schedule.sigmas.at(-1) === 0;
  const common = {
    eta: options.eta,
    begin: options.begin,
    clip: config.thresholding ? 1 : undefined,
  };
  if (isNamed) {
    const heun = name === "dpmpp_2m_sde_heun";
    return {
      ...begin,
      steps: dpmpp(schedule, config.prediction_type, { ...common, order: 2, falling: endsAtZero ? 1 : 0, heun }),
    };
  }
  const few = config.lower_order_final && schedule.timesteps.length < MANY_STEPS;
  const steps = dpmpp(schedule, config.prediction_type, {
    ...common,
    order: Math.min(order, 3),
    falling: few ? 2 : endsAtZero || config.euler_at_final ? 1 : 0,
    heun: solver_type === "heun",
    integrand: config.algorithm_type === "dpmsolver" ? "noise" : "clean",
  });
  return { ...begin, steps };
}
