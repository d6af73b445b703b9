import { type Tensor, zeros } from "./tensor.ts";

/** The bands of one picture, one below the other: [1, rows, width, channels] each. */
export function join(bands: readonly Tensor[]): Tensor {
  const [, , width, channels] = bands[0].shape;
  const y = zeros([1, bands.reduce((sum, { shape }) => sum + shape[1], 0), width, channels]);
  let at = 0;
  for (const { data } of bands) {
    y.data.set(data, at);
    at += data.length;
  }
  return y;
}

/**
 * `rows` rows from `first` on of `x` [1, height, width, channels] enlarged by repeating each pixel, with columns of zeros
 * before and after it and rows of zeros where it has ended; where it `wraps`, with its opposite edges instead.
 */
export function window(
  x: Tensor,
  { first, rows, left, right, factor, wraps = false }: {
    first: number;
    rows: number;
    left: number;
    right: number;
    factor: number;
    wraps?: boolean;
  },
): Tensor {
  const [, height, width, channels] = x.shape, y = zeros([1, rows, left + factor * width + right, channels]);
  const columns = y.shape[2];
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      let fromRow = Math.floor((first + row) / factor), fromColumn = Math.floor((column - left) / factor);
      if (wraps) [fromRow, fromColumn] = [(fromRow + height) % height, (fromColumn + width) % width];
      if (fromRow < 0 || fromRow >= height || fromColumn < 0 || fromColumn >= width) continue;
      for (let channel = 0; channel < channels; channel++) {
        y.data[(row * columns + column) * channels + channel] =
          x.data[(fromRow * width + fromColumn) * channels + channel];
      }
    }
  }
  return y;
}
