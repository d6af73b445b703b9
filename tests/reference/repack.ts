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

/** What a gated weight [2 · out, in] is packed as: its rows by fours, those of the values before those of their gates. */
export function inTurn({ shape, data }: Tensor): Tensor {
  const [rows, width] = shape, half = rows / 2, turned = zeros(shape);
  for (let row = 0; row < rows; row++) {
    const value = Math.floor(row / 8) * 4 + row % 4, source = row % 8 < 4 ? value : half + value;
    turned.data.set(data.subarray(source * width, (source + 1) * width), row * width);
  }
  return turned;
}
