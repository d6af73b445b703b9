/** Embeddings, and with them how tables are packed from files of every dtype. */
import { embed, embedWithVectors } from "../../../src/ops/embedding.ts";
import * as reference from "../../reference/sums.ts";
import { fill, tensor } from "../../reference/tensor.ts";
import { type Case, f16Rounding, type Table, type Weight } from "../case.ts";

interface Options {
  images?: number;
  dtype?: Weight["dtype"];
}

function embeddingCase(
  tokens: number,
  width: number,
  length: number,
  { images = 1, dtype = "f32" }: Options = {},
): Case {
  const shape = [images, length, 1];
  return {
    name: `${tokens} rows of ${width} in ${dtype}, ${images} times ${length} places`,
    // The first row, the last one, and others in no order.
    inputs: { ids: { shape, stored: "u32", values: () => fill(shape, (i) => (tokens - 1 + i * 7919) % tokens) } },
    weights: {
      table: { shape: [tokens, width], layout: "rows", dtype },
      positions: { shape: [length, width], layout: "rows", dtype },
    },
    record: ({ ids }, { table, positions }) => ({ y: embed(ids, table, positions) }),
    reference: ({ ids }, { table, positions }) => ({ y: reference.embed(ids, table, positions) }),
  };
}

export const embeddingTable: Table = {
  op: "embed()",
  bounds: { f32: 1e-7, f16: f16Rounding },
  cases: [
    embeddingCase(1, 1, 1),
    embeddingCase(3, 5, 7, { images: 2 }),
    embeddingCase(101, 33, 77, { images: 3 }),
    embeddingCase(1009, 768, 77),
    // Two bytes each and odd numbers of them: rows that begin in the middle of a word, files that end in one.
    ...(["f16", "bf16"] as const).flatMap((dtype) => [
      embeddingCase(1, 1, 1, { dtype }),
      embeddingCase(5, 3, 5, { dtype }),
      embeddingCase(11, 7, 3, { images: 2, dtype }),
      embeddingCase(101, 33, 77, { dtype }),
    ]),
  ],
};

/** Ids in the table and beyond it, and vectors that are not all used. */
const vectorCases = [[3, 5, 7, 2], [101, 33, 77, 12], [1009, 768, 77, 77]].map((
  [tokens, width, length, count],
): Case => ({
  name: `${tokens} rows of ${width} and ${count} vectors, 2 times ${length} places`,
  inputs: {
    ids: {
      shape: [2, length, 1],
      stored: "u32",
      values: () => fill([2, length, 1], (i) => i * 7919 % (tokens + count)),
    },
    vectors: { shape: [count, width], stored: "f32" },
  },
  weights: {
    table: { shape: [tokens, width], layout: "rows", dtype: "f32" },
    positions: { shape: [length, width], layout: "rows", dtype: "f32" },
  },
  record: ({ ids, vectors }, { table, positions }) => ({ y: embedWithVectors(ids, table, positions, vectors) }),
  reference: ({ ids, vectors }, { table, positions }) => {
    const all = tensor([tokens + count, width], [...table.data, ...vectors.data]);
    return { y: reference.embed(ids, all, positions) };
  },
}));

export const vectorsTable: Table = { op: "embedWithVectors()", bounds: embeddingTable.bounds, cases: vectorCases };

/** Over 16 MB, the most that is staged at once: the second piece's rows must land behind the first's. */
export const piecesTable: Table = {
  op: "embed() from a table loaded in pieces",
  bounds: embeddingTable.bounds,
  cases: [embeddingCase(4999, 1031, 97), embeddingCase(9001, 1031, 97, { dtype: "bf16" })],
};

/** CLIP's own size: 145 MiB in f32, more than a software driver binds of a buffer. */
export const largeTable: Table = {
  op: "embed() from CLIP's table",
  bounds: embeddingTable.bounds,
  cases: [embeddingCase(49408, 768, 77, { dtype: "f16" })],
};
