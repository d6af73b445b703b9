import { flag, numbers, oneOf, readConfig, type SchedulerJson, UnsupportedScheduleError, whole } from "./config.ts";
import { type Integrand, integrator, signalOf } from "./exponential.ts";
import type { RunOptions } from "./options.ts";
import type { SigmaSchedule } from "./schedule.ts";
import { SOLVER_RULES, solverRun, THRESHOLD_RULES } from "./solver_run.ts";
import { type Prediction, type Step, type Trajectory, variancePreserving, variancePreservingNoise } from "./step.ts";

const RULES = {
  ...SOLVER_RULES,
  ...THRESHOLD_RULES,
  predict_x0: flag(true),
  solver_type: oneOf("bh2", "bh1", "midpoint", "heun", "logrho"),
  solver_order: whole(2, { least: 1, most: 4 }),
  lower_order_final: flag(true),
  disable_corrector: numbers(),
  final_sigmas_type: oneOf("zero", "sigma_min"),
};

/** How UniPC's orders and its B(h) are chosen. */
interface Solver {
  order: number;
  /** Whether the order falls with the steps that are left. */
  falls: boolean;
  solverType?: "bh1" | "bh2";
  integrand?: Integrand;
  /** Steps after which the latents are not corrected. */
  uncorrected?: readonly number[];
  begin?: number;
  clip?: number;
}

/**
 * UniPC steps: Zhao et al. (2023), "UniPC: A Unified Predictor-Corrector Framework", algorithms 5 to 8. The prediction that a
 * step makes first corrects the latents that it was made at. Predictor and corrector start from the same latents with the same
 * coefficient, so the correction is the difference of what the two weigh predictions by, and a row needs no latents of before.
 */
export function unipc(
  { timesteps, sigmas }: SigmaSchedule,
  prediction: Prediction,
  { order, falls, solverType = "bh2", integrand = "clean", uncorrected = [], begin = 0, clip }: Solver,
): Step[] {
  const scaling = integrand === "clean" ? variancePreserving : variancePreservingNoise;
  const count = timesteps.length;
  const orderOf = (i: number) => Math.min(order, falls ? count - i : order, i - begin + 1);
  return timesteps.slice(begin).map((timestep, row) => {
    const i = begin + row, step = integrator(sigmas[i], sigmas[i + 1], integrand), weights = predictor(i);
    if (row > 0 && !uncorrected.includes(i - 1)) {
      const correction = corrector(i - 1);
      for (const [back, weight] of predictor(i - 1).entries()) correction[back + 1] -= weight;
      for (const [back, weight] of correction.entries()) weights[back] = (weights[back] ?? 0) + step.x * weight;
    }
    return {
      timestep,
      ...scaling(prediction, signalOf(sigmas[i]), signalOf(sigmas[i]) * sigmas[i]),
      clip,
      x: step.x,
      denoised: weights,
      noise: 0,
    };
  });

  /** What step `i` weighs the predictions of itself and before by. */
  function predictor(i: number): number[] {
    const used = orderOf(i), { points, moments, scale } = differences(i, used);
    const inner = points.slice(0, -1);
    const rho = used === 2 ? [0.5] : solve(inner.map((_, k) => inner.map((point) => point ** k)), moments);
    const weights = [-scale.first, ...inner.map(() => 0)];
    for (const [k, point] of inner.entries()) {
      const weight = scale.change * rho[k] / point;
      weights[k + 1] -= weight;
      weights[0] += weight;
    }
    return weights;
  }

  /** What the corrected end of step `i` weighs the predictions of that end, of step `i` and before by. */
  function corrector(i: number): number[] {
    const used = orderOf(i), { points, moments, scale } = differences(i, used);
    const rho = used === 1 ? [0.5] : solve(points.map((_, k) => points.map((point) => point ** k)), moments);
    const weights = [0, -scale.first, ...points.slice(1).map(() => 0)];
    for (const [k, point] of points.entries()) {
      const weight = scale.change * rho[k] / point;
      weights[k === used - 1 ? 0 : k + 2] -= weight;
      weights[1] += weight;
    }
    return weights;
  }

  /**
   * Where the predictions lie in units of the step, the end (1) last; what their differences have to integrate to; and the
   * scales of the prediction and of its differences.
   */
  function differences(i: number, used: number) {
    const { growth, scale, first } = integrator(sigmas[i], sigmas[i + 1], integrand);
    const lambda = (k: number) => Math.log(sigmas[i] / sigmas[k]);
    const points = [...Array.from({ length: used - 1 }, (_, k) => lambda(i - k - 1) / lambda(i + 1)), 1];
    const base = solverType === "bh1" ? growth : first, moments: number[] = [];
    let phi = first / growth - 1, factorial = 1;
    for (let k = 1; k <= used; k++) {
      moments.push(phi * factorial / base);
      factorial *= k + 1;
      phi = phi / growth - 1 / factorial;
    }
    return { points, moments, scale: { first: scale * first, change: scale * base } };
  }
}

/** The solution of a small linear system, by Gauss's elimination with pivots. */
function solve(matrix: number[][], values: readonly number[]): number[] {
  const rows = matrix.map((row, i) => [...row, values[i]]), size = rows.length;
  for (let column = 0; column < size; column++) {
    const pivot = rows.slice(column).reduce(
      (best, row, k) => Math.abs(row[column]) > Math.abs(rows[best][column]) ? column + k : best,
      column,
    );
    [rows[column], rows[pivot]] = [rows[pivot], rows[column]];
    for (let other = 0; other < size; other++) {
      if (other === column) continue;
      const factor = rows[other][column] / rows[column][column];
      rows[other] = rows[other].map((value, k) => value - factor * rows[column][k]);
    }
  }
  return rows.map((row, i) => row[size] / row[i]);
}

/** A UniPC run with the settings of the reference's UniPCMultistepScheduler. */
export function unipcTrajectory(json: SchedulerJson, options: RunOptions): Trajectory {
  const config = readConfig(json, RULES, "unipc");
  const { begin, schedule, isNamed } = solverRun(config, options, {
    finalSigma: config.final_sigmas_type === "zero" ? "zero" : "last",
  });
  const solverType = config.solver_type === "bh1" ? "bh1" : "bh2", endsAtZero = schedule.sigmas.at(-1) === 0;
  if (solverType === "bh1" && endsAtZero) {
    throw new UnsupportedScheduleError(
      "Cannot use sampler unipc with this scheduler_config.json: its solver_type is bh1, which cannot end at sigma 0; " +
        "use bh2, or final_sigmas_type sigma_min",
    );
  }
  return {
    ...begin,
    steps: unipc(schedule, config.prediction_type, {
      order: config.solver_order,
      falls: isNamed || config.lower_order_final || endsAtZero,
      solverType,
      integrand: config.predict_x0 ? "clean" : "noise",
      uncorrected: config.disable_corrector ?? [],
      begin: options.begin,
      clip: config.thresholding ? 1 : undefined,
    }),
  };
}
