/** Ops that treat every element alike, and those that only move elements. */
import { map, type Tensor, zeros } from "./tensor.ts";

/** x · sigmoid(x). */
export function silu(x: Tensor): Tensor {
  return map(x, (v) => v / (1 + Math.exp(-v)));
}

/** x · sigmoid(1.702 x). */
export function quickGelu(x: Tensor): Tensor {
  return map(x, (v) => v / (1 + Math.exp(-1.702 * v)));
}

/** x · Φ(x). */
export function gelu(x: Tensor): Tensor {
  return map(x, (v) => v * (v > 0 ? 1 - upperTail(v) : upperTail(-v)));
}

/** 1 - Φ(x) for x ≥ 0, to about 1e-15. */
export function upperTail(x: number): number {
  const density = Math.exp(-x * x / 2) / Math.sqrt(2 * Math.PI);
  if (x < 3) { // Φ(x) = 1/2 + φ(x) (x + x³/3 + x⁵/(3·5) + …)
    let term = x, sum = 0;
    for (let n = 1; term > 1e-17 * sum; n++) {
      sum += term;
      term *= x * x / (2 * n + 1);
    }
    return 0.5 - density * sum;
  }
  // φ(x) / (x + 1/(x + 2/(x + 3/(x + …)))): Laplace's continued fraction, from its far end.
  let fraction = x;
  for (let n = 200; n > 0; n--) fraction = x + n / fraction;
  return density / fraction;
}

/** The first half of the channels times gelu of the second. */
export function geglu(x: Tensor): Tensor {
  const width = x.shape.at(-1)! / 2, gates = gelu(x);
  return map(zeros([...x.shape.slice(0, -1), width]), (_, i) => {
    const at = Math.floor(i / width) * 2 * width + i % width;
    return x.data[at] * gates.data[at + width];
  });
}

/** a + b. */
export function add(a: Tensor, b: Tensor): Tensor {
  return map(a, (v, i) => v + b.data[i]);
}

/** x [images, …, channels] + row [images or 1, channels]. */
export function addRow(x: Tensor, row: Tensor): Tensor {
  const channels = x.shape.at(-1)!, imageSize = x.data.length / x.shape[0];
  return map(x, (v, i) => {
    const image = row.shape[0] === 1 ? 0 : Math.floor(i / imageSize);
    return v + row.data[image * channels + i % channels];
  });
}

/** factor · x. */
export function scale(x: Tensor, factor: number): Tensor {
  return map(x, (v) => factor * v);
}

/** a's channels, then b's. */
export function concat(a: Tensor, b: Tensor): Tensor {
  const aChannels = a.shape.at(-1)!, bChannels = b.shape.at(-1)!, channels = aChannels + bChannels;
  return map(zeros([...a.shape.slice(0, -1), channels]), (_, i) => {
    const row = Math.floor(i / channels), channel = i % channels;
    return channel < aChannels ? a.data[row * aChannels + channel] : b.data[row * bChannels + channel - aChannels];
  });
}
