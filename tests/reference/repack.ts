import { elements } from "../../src/tensor/shape.ts";
import { type Tensor, zeros } from "./tensor.ts";

/** A matmul weight [out, in, …taps] as [tap, in, out], in and out padded with zeros to multiples of 4. */
export function repackMatmul(weight: Tensor): Tensor {
  const [outer, inner, ...rest] = weight.shape, taps = elements(rest);
  const paddedIn = Math.ceil(inner / 4) * 4, paddedOut = Math.ceil(outer / 4) * 4;
  const packed = zeros([taps, paddedIn, paddedOut]);
  for (let out = 0; out < outer; out++) {
    for (let i = 0; i < inner; i++) {
      for (let tap = 0; tap < taps; tap++) {
        packed.data[(tap * paddedIn + i) * paddedOut + out] = weight.data[(out * inner + i) * taps + tap];
      }
    }
  }
  return packed;
}

/** Rows [row, width], each padded with zeros to a multiple of 4. */
export function repackRows(rows: Tensor): Tensor {
  const [count, width] = rows.shape, padded = Math.ceil(width / 4) * 4, packed = zeros([count, padded]);
  for (let row = 0; row < count; row++) {
    packed.data.set(rows.data.subarray(row * width, (row + 1) * width), row * padded);
  }
  return packed;
}
