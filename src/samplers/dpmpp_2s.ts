import { flag, number, oneOf, readConfig, type SchedulerJson, whole } from "./config.ts";
import { type Integrand, integrator, signalOf } from "./exponential.ts";
import type { RunOptions } from "./options.ts";
import type { SigmaSchedule } from "./schedule.ts";
import { SOLVER_RULES, solverRun, THRESHOLD_RULES } from "./solver_run.ts";
import { type Prediction, type Step, type Trajectory, variancePreserving, variancePreservingNoise } from "./step.ts";

const RULES = {
  ...SOLVER_RULES,
  ...THRESHOLD_RULES,
  algorithm_type: oneOf("dpmsolver++", "deis", "dpmsolver"),
  solver_type: oneOf("midpoint", "heun", "logrho", "bh1", "bh2"),
  solver_order: whole(2, { least: 1, most: 3 }),
  lower_order_final: flag(false),
  final_sigmas_type: oneOf("zero", "sigma_min"),
  lambda_min_clipped: number(-Infinity),
};

/**
 * Single-step DPM-Solver++ steps: Lu et al. (2022), "DPM-Solver++", algorithm 1, and of third order. Steps come in groups: the
 * first of a group is Euler's, the second starts over from the group's start with the slope of both predictions, the third
 * with their curve. `orders` says for each step of the run its place in the group. With integrand "noise" it is DPM-Solver.
 */
export function dpmppSinglestep(
  { timesteps, sigmas }: SigmaSchedule,
  prediction: Prediction,
  orders: readonly number[],
  { heun = false, integrand = "clean", begin = 0, clip }: {
    heun?: boolean;
    integrand?: Integrand;
    begin?: number;
    clip?: number;
  } = {},
): Step[] {
  const scaling = integrand === "clean" ? variancePreserving : variancePreservingNoise;
  return timesteps.slice(begin).map((timestep, row) => {
    // A group that the run starts within is a shorter one.
    const i = begin + row, order = Math.min(orders[i], row + 1), start = i + 1 - order;
    const step = integrator(sigmas[start], sigmas[i + 1], integrand);
    return {
      timestep,
      ...scaling(prediction, signalOf(sigmas[i]), signalOf(sigmas[i]) * sigmas[i]),
      clip,
      ...(order === 1 ? { x: step.x, saves: true } : { x: 0, fromSaved: step.x }),
      denoised: weights(order, start, step),
      noise: 0,
    };
  });

  function weights(
    order: number,
    start: number,
    { scale, first, second, third }: ReturnType<typeof integrator>,
  ): number[] {
    const full = -scale * first, lambda = (i: number) => Math.log(sigmas[start] / sigmas[i]);
    if (order === 1) return [full];
    const whole = lambda(start + order), r0 = lambda(start + order - 1) / whole;
    const slope = heun || order === 3 ? -scale * second : full / 2;
    if (order === 2) return [slope / r0, full - slope / r0];
    if (!heun) return [slope / r0, 0, full - slope / r0];
    const r1 = lambda(start + 1) / whole, curve = -scale * third;
    // Divided differences from the group's start: to its second point (r1), and to its third (r0).
    const near = (-slope * r1 + 2 * curve) / (r0 - r1) / r0, far = (slope * r0 - 2 * curve) / (r0 - r1) / r1;
    return [near, far, full - near - far];
  }
}

/** Every step's place in its group; the last step is of first order where it ends at 0. */
export function singlestepOrders(steps: number, order: number, { falls }: { falls: boolean }): number[] {
  const orders = Array.from({ length: steps }, (_, i) => i % order + 1);
  if (!falls) return orders;
  // The last group is cut so that it ends with the first order.
  const rest = steps % order;
  if (rest === 0 && order === 3) orders.splice(-3, 3, 1, 2, 1);
  if (rest === 0 && order === 2) orders.splice(-2, 2, 1, 1);
  return orders;
}

/** A single-step run with the settings of the reference's DPMSolverSinglestepScheduler. */
export function dpmpp2sTrajectory(json: SchedulerJson, options: RunOptions): Trajectory {
  const config = readConfig(json, RULES, "dpmpp_2s");
  const { solver_order: order, final_sigmas_type: finalSigma, lambda_min_clipped: leastLambda } = config;
  // Its timesteps are always evenly spaced from the noisy end, whatever the config says.
  const spaced = { ...config, timestep_spacing: "linspace" as const };
  const { begin, schedule, isNamed } = solverRun(spaced, options, { finalSigma, leastLambda });
  const steps = schedule.timesteps.length, endsAtZero = schedule.sigmas.at(-1) === 0;
  const orders = singlestepOrders(steps, order, {
    falls: isNamed || config.lower_order_final || steps % order !== 0 || endsAtZero,
  });
  if (endsAtZero) orders[steps - 1] = 1;
  return {
    ...begin,
    steps: dpmppSinglestep(schedule, config.prediction_type, orders, {
      heun: config.solver_type === "heun",
      integrand: config.algorithm_type === "dpmsolver" ? "noise" : "clean",
      begin: options.begin,
      clip: config.thresholding ? 1 : undefined,
    }),
  };
}
