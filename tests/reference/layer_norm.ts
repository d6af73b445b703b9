import { rowsAndWidth, type Tensor, zeros } from "./tensor.ts";

/** Each row of `x` less its mean, over its deviation. */
export function layerNorm(x: Tensor, weight: Tensor, bias: Tensor, epsilon: number): Tensor {
  const [rows, width] = rowsAndWidth(x), y = zeros(x.shape);
  for (let row = 0; row < rows; row++) {
    const values = x.data.subarray(row * width, (row + 1) * width);
    const mean = values.reduce((sum, value) => sum + value, 0) / width;
    const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / width;
    for (let i = 0; i < width; i++) {
      y.data[row * width + i] = (values[i] - mean) / Math.sqrt(variance + epsilon) * weight.data[i] + bias.data[i];
    }
  }
  return y;
}
