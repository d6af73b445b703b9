/** What happens to latents outside the networks. */
import { map, type Tensor, zeros } from "./tensor.ts";

/** One sampler row by name, as src/samplers/step.ts has it, with guidance and the place in the ring of predictions. */
export interface Row {
  inputScale: number;
  guidanceScale: number;
  skip: number;
  out: number;
  /** 0: not clipped. */
  clip: number;
  slot: number;
  x: number;
  noise: number;
  unclipped: number;
  denoised: readonly [number, number, number, number];
}

/** signal · clean + noise · n, clean being scalingFactor · (mean + exp(logvar / 2) · posterior), or 0 without moments. */
export function startLatents(
  { noise, start: { signal, noise: level, scalingFactor }, moments, posterior }: {
    noise: Tensor;
    start: { signal: number; noise: number; scalingFactor: number };
    moments?: Tensor;
    posterior?: Tensor;
  },
): Tensor {
  const channels = noise.shape.at(-1)!, imageSize = noise.data.length / noise.shape[0];
  return map(noise, (n, i) => {
    if (!moments || !posterior) return level * n;
    const at = Math.floor(i % imageSize / channels) * 2 * channels + i % channels;
    const logVariance = Math.min(20, Math.max(-30, moments.data[at + channels]));
    const clean = scalingFactor * (moments.data[at] + Math.exp(logVariance / 2) * posterior.data[i]);
    return signal * clean + level * n;
  });
}

/** inputScale · latents, `copies` times over. */
export function scaleLatents(latents: Tensor, inputScale: number, copies: number): Tensor {
  const [images, ...rest] = latents.shape;
  return map(zeros([copies * images, ...rest]), (_, i) => inputScale * latents.data[i % latents.data.length]);
}

/** One sampler row: what the latents and the history become. `prediction` has both halves where it is guided. */
export function advance(
  { latents, history, prediction, noise, row }: {
    latents: Tensor;
    history: Tensor;
    prediction: Tensor;
    noise: Tensor;
    row: Row;
  },
): { latents: Tensor; history: Tensor } {
  const size = latents.data.length, guided = prediction.data.length === 2 * size;
  const after = zeros(latents.shape), ring = map(history, (v) => v);
  for (let i = 0; i < size; i++) {
    const unconditional = prediction.data[i], conditional = guided ? prediction.data[size + i] : unconditional;
    const output = unconditional + (guided ? row.guidanceScale : 0) * (conditional - unconditional);
    const raw = row.skip * latents.data[i] + row.out * output;
    const denoised = row.clip > 0 ? Math.min(row.clip, Math.max(-row.clip, raw)) : raw;
    ring.data[row.slot * size + i] = denoised;
    let next = row.x * latents.data[i] + row.noise * noise.data[i] + row.unclipped * raw;
    for (let back = 0; back < 4; back++) next += row.denoised[back] * ring.data[(row.slot + 4 - back) % 4 * size + i];
    after.data[i] = next;
  }
  return { latents: after, history: ring };
}
