import { map, type Tensor } from "./tensor.ts";

/** What guidance beyond a weighted difference is told: see `guideFields` in the ops. */
export interface Guidance {
  guidanceScale: number;
  cleanSkip: number;
  cleanOut: number;
  rescale: number;
  threshold: number;
  percentile: number;
}

/** The guided output: diffusers' rescale_noise_cfg, then its dynamic thresholding, then the mask, on clean latents. */
export function guide(
  prediction: Tensor,
  latents: Tensor,
  { guidanceScale, cleanSkip, cleanOut, rescale, threshold, percentile }: Guidance,
  inpaint?: { initial: Tensor; mask: Tensor },
): Tensor {
  const images = latents.shape[0], total = latents.data.length, size = total / images;
  const conditional = prediction.data.subarray(prediction.data.length - total);
  const output = map(latents, (_, i) => prediction.data[i] + guidanceScale * (conditional[i] - prediction.data[i]));
  if (prediction.data.length === total) output.data.set(prediction.data);
  for (let image = 0; image < images; image++) {
    const own = output.data.subarray(image * size, (image + 1) * size);
    const ratio = deviation(conditional.subarray(image * size, (image + 1) * size)) / deviation(own);
    for (let i = 0; i < size; i++) own[i] = rescale * (own[i] * ratio) + (1 - rescale) * own[i];
    const before = latents.data.subarray(image * size, (image + 1) * size);
    let clean = own.map((value, i) => cleanSkip * before[i] + cleanOut * value);
    if (threshold > 0) {
      const reach = Math.max(threshold, quantile(clean.map(Math.abs), percentile));
      clean = clean.map((value) => Math.min(reach, Math.max(-reach, value)) / reach * threshold);
    }
    if (inpaint) {
      const at = image * size;
      clean = clean.map((value, i) =>
        inpaint.initial.data[at + i] * (1 - inpaint.mask.data[at + i]) + value * inpaint.mask.data[at + i]
      );
    }
    if (threshold > 0 || inpaint) own.set(clean.map((value, i) => (value - cleanSkip * before[i]) / cleanOut));
  }
  return output;
}

function deviation(values: Float64Array): number {
  const mean = values.reduce((a, b) => a + b, 0) / values.length;
  return Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length);
}

/** The value below which a share of all lies, interpolated between neighbours. */
export function quantile(values: Float64Array, share: number): number {
  const sorted = values.toSorted(), place = share * (values.length - 1), below = Math.floor(place);
  return sorted[below] + (place - below) * ((sorted[below + 1] ?? sorted[below]) - sorted[below]);
}
