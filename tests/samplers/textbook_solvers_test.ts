/** Solvers that the reference has beside k-diffusion, and samplers over timesteps, against their papers in doubles. */
import assert from "node:assert/strict";
import { ddim } from "../../src/samplers/ddim.ts";
import { ddpm } from "../../src/samplers/ddpm.ts";
import { deis } from "../../src/samplers/deis.ts";
import { dpmppSinglestep, singlestepOrders } from "../../src/samplers/dpmpp_2s.ts";
import { dpmpp } from "../../src/samplers/dpmpp_multistep.ts";
import { lcm } from "../../src/samplers/lcm.ts";
import type { Step } from "../../src/samplers/mod.ts";
import type { SigmaSchedule } from "../../src/samplers/schedule.ts";
import { tcd } from "../../src/samplers/tcd.ts";
import { unipc } from "../../src/samplers/unipc.ts";
import { close, denoise, epsilon, noise, runScaled, scale, schedule, start, steps } from "./textbook.ts";

const { sigmas } = schedule;
const lambda = (sigma: number) => -Math.log(sigma);
/** The schedule without its step to 0. */
const above: SigmaSchedule = { ...schedule, timesteps: schedule.timesteps.slice(0, -1), sigmas: sigmas.slice(0, -1) };
/** The end of variance-preserving rows over `above`, in sigma space. */
const runAbove = (rows: readonly Step[]) => runScaled(rows) * scale(above.sigmas.at(-1)!);

/** ∫ f from a to b, by Gauss's rule of five points in 64 pieces. */
function integrate(f: (x: number) => number, a: number, b: number): number {
  const nodes = [
    [0, 128 / 225],
    ...[-1, 1].flatMap((sign) => [
      [sign * Math.sqrt(5 - 2 * Math.sqrt(10 / 7)) / 3, (322 + 13 * Math.sqrt(70)) / 900],
      [sign * Math.sqrt(5 + 2 * Math.sqrt(10 / 7)) / 3, (322 - 13 * Math.sqrt(70)) / 900],
    ]),
  ];
  const width = (b - a) / 64;
  let sum = 0;
  for (let i = 0; i < 64; i++) {
    for (const [x, weight] of nodes) sum += weight * width / 2 * f(a + width * (i + (1 + x) / 2));
  }
  return sum;
}

/** The polynomial through (nodes[k], values[k]) at x. */
function interpolate(nodes: number[], values: number[], x: number): number {
  return values.reduce(
    (sum, value, k) =>
      sum + nodes.reduce((product, node, j) => j === k ? product : product * (x - node) / (nodes[k] - node), value),
    0,
  );
}

for (const order of [1, 2, 3]) {
  Deno.test(`deis() of order ${order} integrates the polynomial of ε in log sigma over sigma`, () => {
    let x = start;
    const slopes: number[] = [];
    for (let i = 0; i < steps - 1; i++) {
      slopes.unshift(epsilon(x, sigmas[i]));
      const used = Math.min(order, i + 1), nodes = Array.from({ length: used }, (_, k) => Math.log(sigmas[i - k]));
      const values = slopes.slice(0, used);
      x += integrate((sigma) => interpolate(nodes, values, Math.log(sigma)), sigmas[i], sigmas[i + 1]);
    }
    close(runAbove(deis(above, "epsilon", { order, falling: 0 })), x, 1e-9);
  });

  Deno.test(`dpmpp() of order ${order} with integrand noise is DPM-Solver: it integrates Taylor's series of ε`, () => {
    let x = start;
    const slopes: number[] = [];
    for (let i = 0; i < steps - 1; i++) {
      slopes.unshift(epsilon(x, sigmas[i]));
      const used = Math.min(order, i + 1), h = lambda(sigmas[i + 1]) - lambda(sigmas[i]);
      // d x / d lambda = −sigma · ε, with slope and curve by divided differences at the step's start.
      const [e0, e1, e2] = slopes, r0 = (lambda(sigmas[i]) - lambda(sigmas[i - 1])) / h;
      const r1 = (lambda(sigmas[i - 1]) - lambda(sigmas[i - 2])) / h;
      const d0 = (e0 - e1) / r0, d1 = (e1 - e2) / r1;
      const slope = used === 1 ? 0 : used === 2 ? d0 : d0 + r0 / (r0 + r1) * (d0 - d1);
      const curve = used === 3 ? (d0 - d1) / (r0 + r1) : 0;
      x -= sigmas[i] * h *
        integrate((t) => Math.exp(-h * t) * (e0 + slope * t + curve * t ** 2 / 2), 0, 1);
    }
    close(runAbove(dpmpp(above, "epsilon", { order, falling: 0, heun: true, integrand: "noise" })), x, 1e-9);
  });
}

Deno.test("dpmppSinglestep() of order 2 equals algorithm 1 of DPM-Solver++ over pairs of steps", () => {
  let x = start;
  for (let i = 0; i + 2 < steps; i += 2) {
    const [s0, s1, s2] = [sigmas[i], sigmas[i + 1], sigmas[i + 2]], h = lambda(s2) - lambda(s0);
    const r = (lambda(s1) - lambda(s0)) / h, first = denoise(x, s0);
    const middle = s1 / s0 * x - Math.expm1(-r * h) * first, second = denoise(middle, s1);
    x = s2 / s0 * x - Math.expm1(-h) * ((1 - 1 / (2 * r)) * first + 1 / (2 * r) * second);
  }
  const pairs = { ...above, timesteps: above.timesteps.slice(0, 10), sigmas: above.sigmas.slice(0, 11) };
  const rows = dpmppSinglestep(pairs, "epsilon", singlestepOrders(10, 2, { falls: false }));
  close(runScaled(rows) * scale(pairs.sigmas[10]), x);
});

Deno.test("singlestepOrders() ends with the first order where it falls", () => {
  const orders = (steps: number, order: number) => singlestepOrders(steps, order, { falls: true }).join("");
  assert.deepEqual([orders(6, 2), orders(7, 2), orders(6, 1)], ["121211", "1212121", "111111"]);
  assert.deepEqual([orders(6, 3), orders(7, 3), orders(8, 3)], ["123121", "1231231", "12312312"]);
  assert.equal(singlestepOrders(6, 3, { falls: false }).join(""), "123123");
});

for (const order of [1, 2, 3]) {
  Deno.test(`unipc() of order ${order} equals the paper's predictor and corrector with B(h) = e^h − 1`, () => {
    let x = start, predicted = start;
    const found: number[] = [];
    const orderOf = (i: number) => Math.min(order, i + 1, steps - i);
    for (let i = 0; i < steps; i++) {
      const denoised = denoise(predicted, sigmas[i]);
      x = i === 0 ? start : move(i - 1, x, found, denoised);
      found.unshift(denoised);
      predicted = sigmas[i + 1] === 0 ? denoised : move(i, x, found);
    }
    close(runScaled(unipc(schedule, "epsilon", { order, falls: true })), predicted, 1e-10);

    /** Step `i` from x, `found` being the predictions at its start and before; with one at its end it corrects. */
    function move(i: number, x: number, found: number[], atEnd?: number): number {
      const h = lambda(sigmas[i + 1]) - lambda(sigmas[i]), used = orderOf(i);
      const points = Array.from({ length: used - 1 }, (_, k) => (lambda(sigmas[i - k - 1]) - lambda(sigmas[i])) / h);
      const differences = points.map((r, k) => (found[k + 1] - found[0]) / r);
      if (atEnd !== undefined) {
        points.push(1);
        differences.push(atEnd - found[0]);
      }
      const B = Math.expm1(-h);
      // What Σ rho · r^n has to be for n = 0, 1, …: the part of the integral that grows with t^(n + 1), over B.
      const moments = points.map((_, n) => -h * integrate((t) => Math.exp(-h * (1 - t)) * t ** (n + 1), 0, 1) / B);
      // Order 1 of the corrector and order 2 of the predictor are set to 1/2.
      const rho = points.length === 1 ? [0.5] : vandermonde(points, moments);
      const sum = differences.reduce((sum, difference, k) => sum + rho[k] * difference, 0);
      return sigmas[i + 1] / sigmas[i] * x - B * found[0] - B * sum;
    }
  });
}

/** rho with Σ rho[k] · points[k]^n = moments[n], by Cramer's rule for two or three unknowns. */
function vandermonde(points: number[], moments: number[]): number[] {
  const matrix = points.map((_, n) => points.map((point) => point ** n));
  const whole = points.length > 0 ? determinant(matrix) : 1;
  return points.map((_, k) => determinant(matrix.map((row, n) => row.with(k, moments[n]))) / whole);
}

function determinant(rows: number[][]): number {
  if (rows.length === 1) return rows[0][0];
  return rows[0].reduce(
    (sum, value, k) =>
      sum + (k % 2 === 0 ? 1 : -1) * value * determinant(rows.slice(1).map((row) => row.toSpliced(k, 1))),
    0,
  );
}

/** A training schedule of 100 timesteps, and a model of it that predicts ε of variance-preserving latents. */
const alphas = Float32Array.from({ length: 100 }, (_, t) => Math.cos((t + 1) / 101 * Math.PI / 2) ** 2);
const model = (x: number, t: number) => 0.6 * Math.tanh(x) + 0.3 * Math.cos(t / 7);
const timesteps = [95, 70, 45, 20];

/** Runs rows over timesteps with `model`. */
function runTimesteps(rows: readonly Step[]): number {
  let x = start, draws = 0;
  for (const row of rows) {
    const raw = row.skip * x + row.out * model(row.inputScale * x, row.timestep);
    x = row.x * x + row.denoised[0] * raw + (row.noise === 0 ? 0 : row.noise * noise(draws++));
  }
  return x;
}

Deno.test("ddim() equals equation 12 of its paper", () => {
  let x = start;
  for (const [i, t] of timesteps.entries()) {
    const alpha = alphas[t], after = t >= 25 ? alphas[t - 25] : 1, e = model(x, t);
    const sigma = 0.7 * Math.sqrt((1 - after) / (1 - alpha) * (1 - alpha / after));
    x = Math.sqrt(after) * (x - Math.sqrt(1 - alpha) * e) / Math.sqrt(alpha) + Math.sqrt(1 - after - sigma ** 2) * e;
    x += sigma * noise(i);
  }
  const rows = ddim(timesteps, alphas, { prediction: "epsilon", stride: 25, finalAlpha: 1, eta: 0.7 });
  close(runTimesteps(rows), x, 1e-10);
});

Deno.test("ddpm() equals algorithm 2 of its paper between timesteps that are no neighbours", () => {
  let x = start;
  for (const [i, t] of timesteps.entries()) {
    const alpha = alphas[t], after = alphas[timesteps[i + 1]] ?? 1, beta = 1 - alpha / after;
    x = (x - beta / Math.sqrt(1 - alpha) * model(x, t)) / Math.sqrt(1 - beta);
    x += Math.sqrt(Math.max((1 - after) / (1 - alpha) * beta, 1e-20)) * noise(i);
  }
  close(runTimesteps(ddpm(timesteps, alphas, { prediction: "epsilon" })), x, 1e-9);
});

Deno.test("lcm() equals algorithm 3 of its paper", () => {
  let x = start;
  for (const [i, t] of timesteps.entries()) {
    const alpha = alphas[t], clean = (x - Math.sqrt(1 - alpha) * model(x, t)) / Math.sqrt(alpha), scaled = 10 * t;
    const [skip, out] = [0.25 / (scaled ** 2 + 0.25), scaled / Math.sqrt(scaled ** 2 + 0.25)];
    x = skip * x + out * clean;
    const next = alphas[timesteps[i + 1]];
    if (next !== undefined) x = Math.sqrt(next) * x + Math.sqrt(1 - next) * noise(i);
  }
  close(runTimesteps(lcm(timesteps, alphas, { prediction: "epsilon" })), x, 1e-10);
});

Deno.test("tcd() equals algorithm 4 of its paper", () => {
  let x = start;
  for (const [i, t] of timesteps.entries()) {
    const alpha = alphas[t], e = model(x, t), next = timesteps[i + 1], s = [49, 31, 14, 0][i];
    const clean = (x - Math.sqrt(1 - alpha) * e) / Math.sqrt(alpha);
    x = Math.sqrt(alphas[s]) * clean + Math.sqrt(1 - alphas[s]) * e;
    if (next !== undefined) {
      x = Math.sqrt(alphas[next] / alphas[s]) * x + Math.sqrt(1 - alphas[next] / alphas[s]) * noise(i);
    }
  }
  const rows = tcd(timesteps, alphas, { prediction: "epsilon", eta: 0.3 });
  close(runTimesteps(rows), x, 1e-10);
});
