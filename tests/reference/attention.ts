import { type Tensor, zeros } from "./tensor.ts";

/** softmax(q · kᵀ / √size) · v for each head of `q` [image, query, head · size] and `k`, `v` [image, key, head · size]. */
export function attention(q: Tensor, k: Tensor, v: Tensor, heads: number, causal: boolean): Tensor {
  const [images, queries, channels] = q.shape, keys = k.shape[1], size = channels / heads;
  const y = zeros(q.shape);
  const at = (image: number, row: number, rows: number, head: number) => (image * rows + row) * channels + head * size;
  for (let image = 0; image < images; image++) {
    for (let head = 0; head < heads; head++) {
      for (let query = 0; query < queries; query++) {
        const from = at(image, query, queries, head), seen = causal ? Math.min(keys, query + 1) : keys;
        const scores = Array.from({ length: seen }, (_, key) => {
          const to = at(image, key, keys, head);
          let dot = 0;
          for (let i = 0; i < size; i++) dot += q.data[from + i] * k.data[to + i];
          return dot / Math.sqrt(size);
        });
        const highest = scores.reduce((a, b) => Math.max(a, b));
        const weights = scores.map((score) => Math.exp(score - highest));
        const total = weights.reduce((a, b) => a + b);
        for (const [key, weight] of weights.entries()) {
          const to = at(image, key, keys, head);
          for (let i = 0; i < size; i++) y.data[from + i] += weight / total * v.data[to + i];
        }
      }
    }
  }
  return y;
}
