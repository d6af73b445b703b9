/** Each sampler over sigmas against its textbook loop in doubles, as k-diffusion writes it. */
import { dpm2 } from "../../src/samplers/dpm2.ts";
import { dpmpp2sAncestral } from "../../src/samplers/dpmpp_2s_a.ts";
import { dpmpp } from "../../src/samplers/dpmpp_multistep.ts";
import { dpmppSde } from "../../src/samplers/dpmpp_sde.ts";
import { euler } from "../../src/samplers/euler.ts";
import { eulerAncestral } from "../../src/samplers/euler_a.ts";
import { heun } from "../../src/samplers/heun.ts";
import { lms } from "../../src/samplers/lms.ts";
import { close, denoise, epsilon, noise, run, runScaled, schedule, start, steps } from "./textbook.ts";

const { sigmas } = schedule;
const time = (sigma: number) => -Math.log(sigma);
const sigmaOf = (time: number) => Math.exp(-time);

function ancestral(from: number, to: number, eta: number): [down: number, up: number] {
  const up = Math.min(to, eta * (to ** 2 * (from ** 2 - to ** 2) / from ** 2) ** 0.5);
  return [(to ** 2 - up ** 2) ** 0.5, up];
}

Deno.test("euler() equals algorithm 2 of Karras et al. without churn", () => {
  let x = start;
  for (let i = 0; i < steps; i++) x += epsilon(x, sigmas[i]) * (sigmas[i + 1] - sigmas[i]);
  close(run(euler(schedule, "epsilon"), start), x);
});

Deno.test("euler() with churn equals the reference's loop, whose model sees the latents without the noise", () => {
  const gamma = 0.3, factor = 1.003;
  let x = start;
  for (let i = 0; i < steps; i++) {
    const slope = epsilon(x, sigmas[i]), high = sigmas[i] * (gamma + 1);
    x += noise(i) * factor * (high ** 2 - sigmas[i] ** 2) ** 0.5;
    x += slope * (sigmas[i + 1] - high);
  }
  close(run(euler(schedule, "epsilon", { gamma, factor }), start), x);
});

for (const eta of [1, 0.6]) {
  Deno.test(`eulerAncestral() equals k-diffusion's sample_euler_ancestral with eta ${eta}`, () => {
    let x = start;
    for (let i = 0; i < steps; i++) {
      const [down, up] = ancestral(sigmas[i], sigmas[i + 1], eta);
      x += epsilon(x, sigmas[i]) * (down - sigmas[i]);
      if (sigmas[i + 1] > 0) x += noise(i) * up;
    }
    close(run(eulerAncestral(schedule, "epsilon", { eta }), start), x);
  });

  Deno.test(`dpm2() equals k-diffusion's sample_dpm_2_ancestral with eta ${eta}`, () => {
    let x = start;
    for (let i = 0; i < steps; i++) {
      const [down, up] = ancestral(sigmas[i], sigmas[i + 1], eta), slope = epsilon(x, sigmas[i]);
      if (down === 0) x += slope * (down - sigmas[i]);
      else {
        const middle = Math.exp((Math.log(sigmas[i]) + Math.log(down)) / 2);
        const slope2 = epsilon(x + slope * (middle - sigmas[i]), middle);
        x += slope2 * (down - sigmas[i]) + noise(i) * up;
      }
    }
    close(run(dpm2(schedule, "epsilon", { eta }), start), x);
  });

  Deno.test(`dpmpp2sAncestral() equals k-diffusion's sample_dpmpp_2s_ancestral with eta ${eta}`, () => {
    let x = start;
    for (let i = 0; i < steps; i++) {
      const denoised = denoise(x, sigmas[i]), [down, up] = ancestral(sigmas[i], sigmas[i + 1], eta);
      if (down === 0) x += (x - denoised) / sigmas[i] * (down - sigmas[i]);
      else {
        const t = time(sigmas[i]), h = time(down) - t, s = t + h / 2;
        const x2 = sigmaOf(s) / sigmaOf(t) * x - Math.expm1(-h / 2) * denoised;
        x = down / sigmaOf(t) * x - Math.expm1(-h) * denoise(x2, sigmaOf(s));
      }
      if (sigmas[i + 1] > 0) x += noise(i) * up;
    }
    close(run(dpmpp2sAncestral(schedule, "epsilon", { eta }), start), x);
  });

  Deno.test(`dpmppSde() equals k-diffusion's sample_dpmpp_sde with eta ${eta}`, () => {
    let x = start, draws = 0;
    for (let i = 0; i < steps; i++) {
      const denoised = denoise(x, sigmas[i]);
      if (sigmas[i + 1] === 0) x += (x - denoised) / sigmas[i] * (sigmas[i + 1] - sigmas[i]);
      else {
        const t = time(sigmas[i]), s = t + (time(sigmas[i + 1]) - t) / 2;
        const [down, up] = ancestral(sigmas[i], sigmaOf(s), eta);
        const x2 = down / sigmas[i] * x - Math.expm1(t - time(down)) * denoised + noise(draws++) * up;
        const denoised2 = denoise(x2, sigmaOf(s));
        const [down2, up2] = ancestral(sigmas[i], sigmas[i + 1], eta);
        x = down2 / sigmas[i] * x - Math.expm1(t - time(down2)) * denoised2 + noise(draws++) * up2;
      }
    }
    close(run(dpmppSde(schedule, "epsilon", { eta }), start), x);
  });

  for (const heun of [false, true]) {
    Deno.test(`dpmpp() equals k-diffusion's sample_dpmpp_2m_sde with eta ${eta}, ${heun ? "heun" : "midpoint"}`, () => {
      let x = start, last: number | undefined, hLast = NaN;
      for (let i = 0; i < steps; i++) {
        const denoised = denoise(x, sigmas[i]), h = time(sigmas[i + 1]) - time(sigmas[i]), etaH = eta * h;
        if (sigmas[i + 1] === 0) x = denoised;
        else {
          x = sigmas[i + 1] / sigmas[i] * Math.exp(-etaH) * x - Math.expm1(-h - etaH) * denoised;
          const full = -Math.expm1(-h - etaH), slope = heun ? full / (-h - etaH) + 1 : 0.5 * full;
          if (last !== undefined) x += slope * (h / hLast) * (denoised - last);
          x += noise(i) * sigmas[i + 1] * Math.sqrt(-Math.expm1(-2 * etaH));
        }
        [last, hLast] = [denoised, h];
      }
      close(runScaled(dpmpp(schedule, "epsilon", { order: 2, falling: 1, heun, eta })), x);
    });
  }

  Deno.test(`dpmpp() of order 3 equals k-diffusion's sample_dpmpp_3m_sde with eta ${eta}`, () => {
    let x = start;
    let [denoised1, denoised2, h1, h2]: (number | undefined)[] = [];
    for (let i = 0; i < steps; i++) {
      const denoised = denoise(x, sigmas[i]), h = time(sigmas[i + 1]) - time(sigmas[i]), hEta = h * (eta + 1);
      if (sigmas[i + 1] === 0) x = denoised;
      else {
        x = Math.exp(-hEta) * x - Math.expm1(-hEta) * denoised;
        const phi2 = Math.expm1(-hEta) / hEta + 1, phi3 = phi2 / hEta - 0.5;
        if (h2 !== undefined) {
          const r0 = h1! / h, r1 = h2 / h;
          const d10 = (denoised - denoised1!) / r0, d11 = (denoised1! - denoised2!) / r1;
          x += phi2 * (d10 + (d10 - d11) * r0 / (r0 + r1)) - phi3 * (d10 - d11) / (r0 + r1);
        } else if (h1 !== undefined) x += phi2 * (denoised - denoised1!) / (h1 / h);
        x += noise(i) * sigmas[i + 1] * Math.sqrt(-Math.expm1(-2 * h * eta));
      }
      [denoised1, denoised2, h1, h2] = [denoised, denoised1, h, h1];
    }
    close(runScaled(dpmpp(schedule, "epsilon", { order: 3, falling: 1, heun: true, eta })), x);
  });
}

Deno.test("heun() equals algorithm 2 of Karras et al. with its second-order correction", () => {
  let x = start;
  for (let i = 0; i < steps; i++) {
    const slope = epsilon(x, sigmas[i]), dt = sigmas[i + 1] - sigmas[i];
    if (sigmas[i + 1] === 0) x += slope * dt;
    else x += (slope + epsilon(x + slope * dt, sigmas[i + 1])) / 2 * dt;
  }
  close(run(heun(schedule, "epsilon"), start), x);
});

Deno.test("dpm2() with eta 0 equals k-diffusion's sample_dpm_2", () => {
  let x = start;
  for (let i = 0; i < steps; i++) {
    const slope = epsilon(x, sigmas[i]);
    if (sigmas[i + 1] === 0) x += slope * (sigmas[i + 1] - sigmas[i]);
    else {
      const middle = Math.exp((Math.log(sigmas[i]) + Math.log(sigmas[i + 1])) / 2);
      x += epsilon(x + slope * (middle - sigmas[i]), middle) * (sigmas[i + 1] - sigmas[i]);
    }
  }
  close(run(dpm2(schedule, "epsilon", { eta: 0 }), start), x);
});

Deno.test("lms() equals k-diffusion's sample_lms of order 4, its integrals by Simpson's rule", () => {
  let x = start;
  const slopes: number[] = [];
  for (let i = 0; i < steps; i++) {
    slopes.unshift(epsilon(x, sigmas[i]));
    const order = Math.min(i + 1, 4);
    for (let j = 0; j < order; j++) {
      const basis = (tau: number) => {
        let product = 1;
        for (let k = 0; k < order; k++) {
          if (k !== j) product *= (tau - sigmas[i - k]) / (sigmas[i - j] - sigmas[i - k]);
        }
        return product;
      };
      const [a, b] = [sigmas[i], sigmas[i + 1]];
      x += (b - a) / 6 * (basis(a) + 4 * basis((a + b) / 2) + basis(b)) * slopes[j];
    }
  }
  close(run(lms(schedule, "epsilon"), start), x, 1e-10);
});

Deno.test("dpmpp() of order 2 equals k-diffusion's sample_dpmpp_2m in variance-preserving latents", () => {
  let x = start;
  let last: number | undefined;
  for (let i = 0; i < steps; i++) {
    const denoised = denoise(x, sigmas[i]);
    const h = time(sigmas[i + 1]) - time(sigmas[i]);
    let direction = denoised;
    if (last !== undefined && sigmas[i + 1] > 0) {
      const r = (time(sigmas[i]) - time(sigmas[i - 1])) / h;
      direction = (1 + 1 / (2 * r)) * denoised - 1 / (2 * r) * last;
    }
    x = sigmas[i + 1] / sigmas[i] * x - Math.expm1(-h) * direction;
    last = denoised;
  }
  close(runScaled(dpmpp(schedule, "epsilon", { order: 2, falling: 1 })), x);
});

Deno.test("dpmpp() of order 1 equals euler() step for step", () => {
  close(runScaled(dpmpp(schedule, "epsilon", { order: 1, falling: 0 })), run(euler(schedule, "epsilon"), start));
});
