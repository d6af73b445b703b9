import { type Tensor, zeros } from "./tensor.ts";

/** Each group of channels of each image of `x` [image, …, channel] less its mean, over its deviation. */
export function groupNorm(x: Tensor, weight: Tensor, bias: Tensor, groups: number, epsilon: number): Tensor {
  const images = x.shape[0], channels = x.shape.at(-1)!, pixels = x.data.length / images / channels;
  const width = channels / groups, y = zeros(x.shape);
  for (let image = 0; image < images; image++) {
    for (let group = 0; group < groups; group++) {
      const indexes: number[] = [];
      for (let pixel = 0; pixel < pixels; pixel++) {
        for (let i = 0; i < width; i++) indexes.push((image * pixels + pixel) * channels + group * width + i);
      }
      const mean = indexes.reduce((sum, i) => sum + x.data[i], 0) / indexes.length;
      const variance = indexes.reduce((sum, i) => sum + (x.data[i] - mean) ** 2, 0) / indexes.length;
      for (const i of indexes) {
        const channel = i % channels;
        y.data[i] = (x.data[i] - mean) / Math.sqrt(variance + epsilon) * weight.data[channel] + bias.data[channel];
      }
    }
  }
  return y;
}
