import { rowsAndWidth, type Tensor, zeros } from "./tensor.ts";

/** y[row, out] = Σ x[row, in] · weight[out, in] + bias[out]. */
export function linear(x: Tensor, weight: Tensor, bias?: Tensor): Tensor {
  const [rows, inner] = rowsAndWidth(x), outer = weight.shape[0];
  const y = zeros([...x.shape.slice(0, -1), outer]);
  for (let row = 0; row < rows; row++) {
    for (let out = 0; out < outer; out++) {
      let sum = bias?.data[out] ?? 0;
      for (let i = 0; i < inner; i++) sum += x.data[row * inner + i] * weight.data[out * inner + i];
      y.data[row * outer + out] = sum;
    }
  }
  return y;
}
