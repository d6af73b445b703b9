/** Token and position embeddings. */
import { type Tensor, zeros } from "./tensor.ts";

/** `ids` [images, length, 1]: row ids[…] of `table` [tokens, width] plus the row of `positions` for its place. */
export function embed(ids: Tensor, table: Tensor, positions: Tensor): Tensor {
  const [images, length] = ids.shape, width = table.shape[1], y = zeros([images, length, width]);
  for (const [row, id] of ids.data.entries()) {
    for (let i = 0; i < width; i++) {
      y.data[row * width + i] = table.data[id * width + i] + positions.data[row % length * width + i];
    }
  }
  return y;
}
