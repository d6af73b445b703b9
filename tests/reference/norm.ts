/** Normalisation by mean and (biased) variance. */
import { type Tensor, zeros } from "./tensor.ts";

/** (x - mean) / √(variance + epsilon) · weight + bias, with one mean and variance for each image and group of channels. */
export function groupNorm(
  x: Tensor,
  weight: Tensor,
  bias: Tensor,
  { groups, epsilon }: { groups: number; epsilon: number },
): Tensor {
  const images = x.shape[0], channels = x.shape.at(-1)!, pixels = x.data.length / images / channels;
  const width = channels / groups, count = width * pixels, y = zeros(x.shape);
  for (let image = 0; image < images; image++) {
    for (let group = 0; group < groups; group++) {
      const places: number[] = [];
      for (let pixel = 0; pixel < pixels; pixel++) {
        for (let c = 0; c < width; c++) places.push((image * pixels + pixel) * channels + group * width + c);
      }
      let mean = 0, variance = 0;
      for (const at of places) mean += x.data[at] / count;
      for (const at of places) variance += (x.data[at] - mean) ** 2 / count;
      for (const at of places) {
        const channel = at % channels;
        y.data[at] = (x.data[at] - mean) / Math.sqrt(variance + epsilon) * weight.data[channel] + bias.data[channel];
      }
    }
  }
  return y;
}

/** The same with one mean and variance for each row of channels. */
export function layerNorm(x: Tensor, weight: Tensor, bias: Tensor, { epsilon }: { epsilon: number }): Tensor {
  const channels = x.shape.at(-1)!;
  const rows = { shape: [x.data.length / channels, channels], data: x.data };
  return { shape: x.shape, data: groupNorm(rows, weight, bias, { groups: 1, epsilon }).data };
}
