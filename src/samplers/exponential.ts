/**
 * The exponential integrator that the solvers of the diffusion equation share. They step over lambda = −log(sigma), with
 * latents = alpha · (clean + sigma · ε) and alpha = 1 / sqrt(sigma² + 1), and integrate either what the model predicts of
 * the clean latents (the solvers with ++, UniPC) or of the noise (DPM-Solver, DEIS).
 */

/** What a solver integrates. */
export type Integrand = "clean" | "noise";

/** A step from one sigma to a lower one. */
export interface Integrator {
  /** Coefficient of the latents that the step starts from. */
  x: number;
  /** H: the growth of lambda, with the sign that the integrand decays or grows by, and doubled by `eta` 1. */
  growth: number;
  /** What the prediction is scaled by: the step ends at x · latents − scale · (e^H − 1) · prediction. */
  scale: number;
  /** e^H − 1. */
  first: number;
  /** Of the prediction's slope per step: (e^H − 1) / H − 1. */
  second: number;
  /** Of half its curve: (e^H − 1 − H) / H² − 1/2. */
  third: number;
  /** Coefficient of fresh noise; 0 unless `eta` is above 0. */
  noise: number;
}

/** alpha of a sigma: the share of the signal in variance-preserving latents. */
export function signalOf(sigma: number): number {
  return 1 / Math.sqrt(sigma ** 2 + 1);
}

/** The step from sigma `from` to `to`; with `eta` above 0 some of the noise is replaced, which only "clean" can. */
export function integrator(from: number, to: number, integrand: Integrand, eta = 0): Integrator {
  const [alphaFrom, alphaTo] = [signalOf(from), signalOf(to)], ratio = to / from, lambda = -Math.log(ratio);
  const growth = integrand === "clean" ? -lambda * (1 + eta) : lambda;
  const first = Math.expm1(growth);
  return {
    x: integrand === "clean" ? alphaTo * to / (alphaFrom * from) * ratio ** eta : alphaTo / alphaFrom,
    growth,
    scale: integrand === "clean" ? alphaTo : alphaTo * to,
    first,
    second: first / growth - 1,
    third: (first - growth) / growth ** 2 - 0.5,
    noise: alphaTo * to * Math.sqrt(1 - ratio ** (2 * eta)),
  };
}
