/** Attention. */
import { attention } from "../../../src/ops/attention.ts";
import * as reference from "../../reference/attention.ts";
import { map } from "../../reference/tensor.ts";
import { type Case, f16Rounding, normals, type Table } from "../case.ts";

const bounds = { f32: 2e-6, f16: f16Rounding };

interface Options {
  images?: number;
  heads?: number;
  causal?: boolean;
  /** Multiplies q: larger scores, and one key that takes all the weight. */
  sharpness?: number;
}

function attentionCase(
  size: number,
  queries: number,
  keys: number,
  { images = 1, heads = 1, causal = false, sharpness = 1 }: Options = {},
): Case {
  const channels = heads * size, q = [images, queries, channels], k = [images, keys, channels];
  return {
    name: `${images} images, ${heads} heads of ${size}, ${queries} queries, ${keys} keys${causal ? ", causal" : ""}`,
    inputs: {
      q: { shape: q, stored: "operand", values: () => map(normals(q, 5), (v) => sharpness * v) },
      k: { shape: k, stored: "operand" },
      v: { shape: k, stored: "operand" },
    },
    record: ({ q, k, v }) => ({ y: attention(q, k, v, { heads, causal }) }),
    reference: ({ q, k, v }) => ({ y: reference.attention(q, k, v, heads, causal) }),
  };
}

/** One key; fewer keys than a block, as many, one more; a prompt and two; head sizes of the published models. */
export const attentionTable: Table = {
  op: "attention()",
  bounds,
  cases: [
    attentionCase(40, 1, 1),
    attentionCase(40, 9, 7, { heads: 2 }),
    attentionCase(40, 8, 8, { images: 2 }),
    attentionCase(40, 65, 65, { images: 3, heads: 3 }),
    attentionCase(40, 23, 77, { images: 2, heads: 8 }),
    attentionCase(40, 13, 154, { heads: 5 }),
    attentionCase(64, 11, 77, { heads: 2 }),
    attentionCase(160, 5, 77, { images: 2, heads: 2 }),
    // From 1024 queries on a lane of a software driver owns two, and takes as many keys a round as there are lanes.
    attentionCase(40, 1027, 77, { images: 2, heads: 2 }),
    attentionCase(80, 1025, 19),
  ],
};

/** The text encoder's: a token sees none after it, and the first one only itself. */
export const causalTable: Table = {
  op: "causal attention()",
  bounds,
  cases: [
    attentionCase(64, 1, 1, { causal: true }),
    attentionCase(64, 77, 77, { heads: 12, causal: true }),
    attentionCase(64, 67, 67, { images: 3, heads: 2, causal: true }),
  ],
};

/** Scores in the hundreds, whose own rounding the exponential passes on: one key takes nearly all the weight. */
export const sharpTable: Table = {
  op: "attention() with large scores",
  bounds: { f32: 1e-5, f16: f16Rounding },
  cases: [
    attentionCase(40, 17, 129, { sharpness: 30 }),
    attentionCase(64, 77, 77, { heads: 2, causal: true, sharpness: 30 }),
  ],
};

/** Heads that are no whole vec4s are widened before and narrowed after; also where the channels are none either. */
export const oddHeadsTable: Table = {
  op: "attention() of heads whose size is no multiple of 4",
  bounds,
  cases: [
    attentionCase(5, 9, 7, { images: 2, heads: 3 }),
    attentionCase(6, 13, 17, { heads: 2 }),
    attentionCase(7, 3, 1, { images: 3 }),
    attentionCase(1, 9, 9, { heads: 1 }),
    attentionCase(3, 5, 11, { heads: 4 }),
  ],
};

/** The VAE's one head, of 512 channels. */
export const wideTable: Table = {
  op: "attention() of one wide head",
  bounds,
  cases: [attentionCase(512, 19, 67)],
};

/** One head of 512 over 64 × 64 pixels, as the VAE has at 512 × 512: as many loops as any dispatch comes to. */
export const longestTable: Table = {
  op: "attention() over as many keys as a VAE has at 512 by 512 pixels",
  bounds,
  cases: [attentionCase(512, 3, 4096)],
};
