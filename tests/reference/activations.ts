import { rowsAndWidth, type Tensor, zeros } from "./tensor.ts";

/** x · sigmoid(x). */
export function silu(x: number): number {
  return x / (1 + Math.exp(-x));
}

/** x · Φ(x). */
export function gelu(x: number): number {
  return x * erfc(-x / Math.SQRT2) / 2;
}

/** x · sigmoid(1.702 x). */
export function quickGelu(x: number): number {
  return x / (1 + Math.exp(-1.702 * x));
}

/** Each row's first half times gelu of its second. */
export function geglu(x: Tensor): Tensor {
  const [rows, both] = rowsAndWidth(x), width = both / 2, y = zeros([...x.shape.slice(0, -1), width]);
  for (let row = 0; row < rows; row++) {
    for (let i = 0; i < width; i++) {
      y.data[row * width + i] = x.data[row * both + i] * gelu(x.data[row * both + width + i]);
    }
  }
  return y;
}

/** 1 - erf(x) to about 1e-14 of itself: Taylor's series near 0, Laplace's continued fraction away from it. */
export function erfc(x: number): number {
  if (x < 0) return 2 - erfc(-x);
  if (x > 27) return 0; // below the smallest double
  if (x < 2) {
    let term = x, sum = x;
    for (let n = 1; Math.abs(term) > 1e-18; n++) {
      term *= -x * x / n;
      sum += term / (2 * n + 1);
    }
    return 1 - 2 / Math.sqrt(Math.PI) * sum;
  }
  let fraction = 0;
  for (let n = 120; n > 0; n--) fraction = n / 2 / (x + fraction);
  return Math.exp(-x * x) / Math.sqrt(Math.PI) / (x + fraction);
}
