import { map, type Tensor, zeros } from "./tensor.ts";

/** The latents `copies` times over along the batch, each times `inputScale`. */
export function scaleLatents(latents: Tensor, inputScale: number, copies: number): Tensor {
  const [images, ...rest] = latents.shape, y = zeros([copies * images, ...rest]);
  return map(y, (_, i) => inputScale * latents.data[i % latents.data.length]);
}

/** What image-to-image starts from: a draw from the VAE's distribution, the same for every image. */
export interface Clean {
  /** [1, …, 2 · channels]: means, then log variances. */
  moments: Tensor;
  posterior: Tensor;
  signal: number;
  scalingFactor: number;
}

/** noiseScale · noise, plus signal · scalingFactor · (mean + exp(logVariance / 2) · posterior) with a picture. */
export function startLatents(noise: Tensor, noiseScale: number, clean?: Clean): Tensor {
  const channels = noise.shape.at(-1)!, pixels = noise.data.length / noise.shape[0] / channels;
  return map(noise, (n, i) => {
    if (!clean) return noiseScale * n;
    const channel = i % channels, pixel = Math.floor(i / channels) % pixels;
    const mean = clean.moments.data[pixel * 2 * channels + channel];
    const logVariance = clean.moments.data[pixel * 2 * channels + channels + channel];
    const clamped = Math.min(20, Math.max(-30, logVariance));
    const code = mean + Math.exp(clamped / 2) * clean.posterior.data[i];
    return noiseScale * n + clean.signal * clean.scalingFactor * code;
  });
}

/** One sampler row: see `Step` in the samplers. */
export interface Row {
  guidanceScale: number;
  skip: number;
  out: number;
  /** 0: none. */
  clip: number;
  /** Of the history, for this row's prediction. */
  slot: number;
  x: number;
  noise: number;
  unclipped: number;
  /** Of the history, for the latents before the row; −1: not saved. */
  saveSlot: number;
  /** Of what stands in each slot of the history. */
  weights: readonly number[];
}

/** Applies one row; writes this row's prediction, and the latents where it saves them, into `history`. */
export function advance(latents: Tensor, prediction: Tensor, noise: Tensor, row: Row, history: Tensor[]): Tensor {
  const size = latents.data.length, isGuided = prediction.data.length === 2 * size;
  const raw = map(latents, (before, i) => {
    const first = prediction.data[i];
    const output = isGuided ? first + row.guidanceScale * (prediction.data[size + i] - first) : first;
    return row.skip * before + row.out * output;
  });
  history[row.slot] = map(raw, (value) => row.clip ? Math.min(row.clip, Math.max(-row.clip, value)) : value);
  if (row.saveSlot >= 0) history[row.saveSlot] = latents;
  return map(latents, (before, i) => {
    let after = row.x * before + row.noise * noise.data[i] + row.unclipped * raw.data[i];
    for (const [slot, weight] of row.weights.entries()) {
      if (weight) after += weight * history[slot].data[i];
    }
    return after;
  });
}
