/** From the decoder's floats to bytes. */
import { type Tensor, zeros } from "./tensor.ts";

/**
 * [1, height, width, 3] in [-1, 1] to [1, height, width] packed RGB, red lowest. In single precision, step by step as
 * the pictures of the reference pipeline are made: what lies on a half is decided by these very roundings.
 */
export function toPixels(x: Tensor): Tensor {
  const y = zeros(x.shape.slice(0, -1));
  for (let pixel = 0; pixel < y.data.length; pixel++) {
    for (let channel = 0; channel < 3; channel++) {
      const value = Math.min(1, Math.max(0, Math.fround(x.data[3 * pixel + channel] / 2 + 0.5)));
      y.data[pixel] += halfToEven(Math.fround(value * 255)) * 256 ** channel;
    }
  }
  return y;
}

function halfToEven(value: number): number {
  const below = Math.floor(value), rest = value - below;
  if (rest !== 0.5) return Math.round(value);
  return below % 2 === 0 ? below : below + 1;
}
