import { flag, oneOf, readConfig, type SchedulerJson, whole } from "./config.ts";
import { signalOf } from "./exponential.ts";
import type { RunOptions } from "./options.ts";
import type { SigmaSchedule } from "./schedule.ts";
import { MANY_STEPS, SOLVER_RULES, solverRun } from "./solver_run.ts";
import { type Prediction, type Step, type Trajectory, variancePreservingNoise } from "./step.ts";

const RULES = {
  ...SOLVER_RULES,
  // What other solvers call theirs, the reference takes for its own.
  algorithm_type: oneOf("deis", "dpmsolver", "dpmsolver++"),
  solver_type: oneOf("logrho", "midpoint", "heun", "bh1", "bh2"),
  solver_order: whole(2, { least: 1 }),
  lower_order_final: flag(true),
  thresholding: oneOf(false),
};

/**
 * DEIS steps: Zhang and Chen (2022), "Fast Sampling of Diffusion Models with Exponential Integrator", the variant log-rho-AB.
 * Latents are alpha · (clean + sigma · ε), so latents / alpha grow by the integral of ε over sigma: of the polynomial in
 * log(sigma) through the last `order` values of ε. From `falling` steps before the end on the order falls to 2 and to 1.
 */
export function deis(
  { timesteps, sigmas }: SigmaSchedule,
  prediction: Prediction,
  { order, falling, begin = 0 }: { order: number; falling: number; begin?: number },
): Step[] {
  return timesteps.slice(begin).map((timestep, row) => {
    const i = begin + row, left = timesteps.length - i, used = Math.min(order, row + 1, left <= falling ? left : order);
    const nodes = Array.from({ length: used }, (_, k) => sigmas[i - k]);
    const alpha = signalOf(sigmas[i]), alphaAfter = signalOf(sigmas[i + 1]);
    return {
      timestep,
      ...variancePreservingNoise(prediction, alpha, alpha * sigmas[i]),
      x: alphaAfter / alpha,
      denoised: integrals(nodes, sigmas[i], sigmas[i + 1]).map((weight) => alphaAfter * weight),
      noise: 0,
    };
  });
}

/** The integrals over sigma of the polynomials in log(sigma) that are 1 at one of up to three `nodes` and 0 at the others. */
function integrals(nodes: readonly number[], from: number, to: number): number[] {
  if (nodes.length === 1) return [to - from];
  const logs = nodes.map(Math.log);
  return logs.map((log, k) => {
    const others = logs.filter((_, j) => j !== k);
    const scale = others.reduce((product, other) => product * (log - other), 1);
    return (antiderivative(to, others) - antiderivative(from, others)) / scale;
  });
}

/** ∫ Π (log(sigma) − root) d sigma for one or two roots. */
function antiderivative(sigma: number, [a, b]: readonly number[]): number {
  const log = Math.log(sigma);
  if (b === undefined) return sigma * (log - a - 1);
  return sigma * (log ** 2 - (a + b + 2) * log + a * b + a + b + 2);
}

/** A DEIS run with the settings of the reference's DEISMultistepScheduler. */
export function deisTrajectory(json: SchedulerJson, options: RunOptions): Trajectory {
  const config = readConfig(json, RULES, "deis");
  const { begin, schedule, isNamed } = solverRun(config, options, { finalSigma: "last" });
  const few = !isNamed && config.lower_order_final && schedule.timesteps.length < MANY_STEPS;
  const falling = few ? 2 : schedule.sigmas.at(-1) === 0 ? 1 : 0, order = Math.min(config.solver_order, 3);
  return { ...begin, steps: deis(schedule, config.prediction_type, { order, falling, begin: options.begin }) };
}
