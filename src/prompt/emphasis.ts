/** What weights in a prompt do to the text encoder's hidden states. */

/**
 * `original`: each token's hidden state times its weight, then all of them times what brings their mean back, as A1111
 * does unless told otherwise. `no_norm`: without that. `ignore`: weights are read and do nothing. `none`: brackets are text.
 */
export type Emphasis = "original" | "no_norm" | "ignore" | "none";

export const emphases: readonly Emphasis[] = ["original", "no_norm", "ignore", "none"];

/** One chunk's hidden states, [tokens, width], with its tokens' weights. */
export interface Weighted {
  states: Float32Array;
  weights: readonly number[];
  /** How many times the chunk counts in the mean; once where absent. */
  count?: number;
}

/**
 * Applies the weights in place. Chunks that are given together share one mean, as the texts of one scheduled prompt do in
 * A1111. Where all weights are 1 nothing changes, to the bit.
 */
export function emphasise(chunks: readonly Weighted[], emphasis: Emphasis): void {
  if (emphasis === "ignore" || emphasis === "none") return;
  if (chunks.every(({ weights }) => weights.every((weight) => weight === 1))) return;
  const sum = () =>
    chunks.reduce((sum, { states, count = 1 }) => sum + count * states.reduce((sum, value) => sum + value, 0), 0);
  const before = sum();
  for (const { states, weights } of chunks) {
    const width = states.length / weights.length;
    for (const [token, weight] of weights.entries()) {
      if (weight === 1) continue;
      for (let i = token * width; i < (token + 1) * width; i++) states[i] *= weight;
    }
  }
  if (emphasis === "no_norm") return;
  const scale = before / sum();
  for (const { states } of chunks) for (let i = 0; i < states.length; i++) states[i] *= scale;
}
