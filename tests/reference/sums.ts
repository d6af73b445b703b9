import { map, rowsAndWidth, type Tensor, zeros } from "./tensor.ts";

/** a + b. */
export function add(a: Tensor, b: Tensor): Tensor {
  return map(a, (value, i) => value + b.data[i]);
}

/** `x` [image, …, channel] plus `row` [image or 1, channel]. */
export function addRow(x: Tensor, row: Tensor): Tensor {
  const channels = x.shape.at(-1)!, perImage = x.data.length / row.shape[0];
  return map(x, (value, i) => value + row.data[Math.floor(i / perImage) * channels + i % channels]);
}

/** factor · x. */
export function scale(x: Tensor, factor: number): Tensor {
  return map(x, (value) => factor * value);
}

/** The rows of `a`, each followed by that of `b`. */
export function concat(a: Tensor, b: Tensor): Tensor {
  const [rows, left] = rowsAndWidth(a), [, right] = rowsAndWidth(b);
  const y = zeros([...a.shape.slice(0, -1), left + right]);
  for (let row = 0; row < rows; row++) {
    y.data.set(a.data.subarray(row * left, (row + 1) * left), row * (left + right));
    y.data.set(b.data.subarray(row * right, (row + 1) * right), row * (left + right) + left);
  }
  return y;
}

/** table[ids[image, place]] + positions[place]. */
export function embed(ids: Tensor, table: Tensor, positions: Tensor): Tensor {
  const [images, length] = ids.shape, width = table.shape[1];
  const y = zeros([images, length, width]);
  for (let row = 0; row < images * length; row++) {
    for (let i = 0; i < width; i++) {
      y.data[row * width + i] = table.data[ids.data[row] * width + i] + positions.data[row % length * width + i];
    }
  }
  return y;
}
