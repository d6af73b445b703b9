/** softmax(q · kᵀ / √d) · v, one query of one head at a time. */
import { type Tensor, zeros } from "./tensor.ts";

/** `q` [images, queries, channels], `k` and `v` [images, keys, channels]; `causal`: a query sees keys up to its place. */
export function attention(
  q: Tensor,
  k: Tensor,
  v: Tensor,
  { heads, causal }: { heads: number; causal: boolean },
): Tensor {
  const [images, queries, channels] = q.shape, keys = k.shape[1], d = channels / heads, y = zeros(q.shape);
  for (let image = 0; image < images; image++) {
    for (let head = 0; head < heads; head++) {
      for (let query = 0; query < queries; query++) {
        const qAt = (image * queries + query) * channels + head * d;
        const keyAt = (key: number) => (image * keys + key) * channels + head * d;
        const scores = Array.from({ length: causal ? Math.min(keys, query + 1) : keys }, (_, key) => {
          let dot = 0;
          for (let i = 0; i < d; i++) dot += q.data[qAt + i] * k.data[keyAt(key) + i];
          return dot / Math.sqrt(d);
        });
        const highest = scores.reduce((a, b) => Math.max(a, b));
        const weights = scores.map((score) => Math.exp(score - highest));
        const total = weights.reduce((a, b) => a + b);
        for (const [key, weight] of weights.entries()) {
          for (let i = 0; i < d; i++) y.data[qAt + i] += weight / total * v.data[keyAt(key) + i];
        }
      }
    }
  }
  return y;
}
