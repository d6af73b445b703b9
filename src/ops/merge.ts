/** Token merging: attention over fewer tokens, the most similar ones having become one (Bolya and Hoffman 2023). */
import sumSource from "../../kernels/lib/sum_workgroup.wgsl" with { type: "text" };
import tokens from "../../kernels/lib/tokens.wgsl" with { type: "text" };
import shuffleSource from "../../kernels/token_matches_shuffle.wgsl" with { type: "text" };
import tiledSource from "../../kernels/token_matches_tiled.wgsl" with { type: "text" };
import mergeSource from "../../kernels/token_merge.wgsl" with { type: "text" };
import orderSource from "../../kernels/token_order.wgsl" with { type: "text" };
import placesSource from "../../kernels/token_places.wgsl" with { type: "text" };
import unitsSource from "../../kernels/token_units.wgsl" with { type: "text" };
import unmergeSource from "../../kernels/token_unmerge.wgsl" with { type: "text" };
import { Kernel, type ShapeValues } from "../gpu/kernel.ts";
import { rowsOf, spread, type Value, vec4s } from "../graph/graph.ts";
import { WORKGROUP } from "./elementwise.ts";

const unitsKernel = new Kernel("token_units", sumSource + unitsSource);
const matchesShuffle = new Kernel("token_matches_shuffle", tokens + shuffleSource);
const matchesTiled = new Kernel("token_matches_tiled", tokens + tiledSource);
const placesKernel = new Kernel("token_places", tokens + placesSource);
const orderKernel = new Kernel("token_order", tokens + orderSource);
const mergeKernel = new Kernel("token_merge", tokens + mergeSource);
const unmergeKernel = new Kernel("token_unmerge", tokens + unmergeSource);

/** Largest share of tokens that can be merged: all but one of each window of 2×2. */
export const largestMergeRatio = 0.75;

/** The tokens of a picture, row by row, and which share of them is merged away. */
export interface Merging {
  height: number;
  width: number;
  /** 0 to {@link largestMergeRatio}. */
  ratio: number;
}

/** Which tokens become one. */
export interface Merge {
  /** [images, sources, 2] of f32: each source's largest cosine to a destination, and that destination. */
  matches: Value;
  /** [images, sources, 1] of u32: the row of the merged tokens that each source becomes. */
  places: Value;
  /** [images, sources, 2] of u32: the sources' tokens sorted by those rows, and the rows. */
  order: Value;
  shape: ShapeValues;
}

/**
 * Finds which of the tokens `x` [images, height · width, channels] become one; undefined where none do. The first token of
 * each whole window of 2×2 is a destination; of all others, the sources, those `ratio` · tokens whose cosine to a
 * destination is largest are merged into it. As tomesd does without random numbers: the same picture each time.
 */
export function matchTokens(x: Value, { height, width, ratio }: Merging): Merge | undefined {
  const [images, tokens] = x.shape, windowRows = height >> 1, windowColumns = width >> 1;
  const sources = tokens - windowRows * windowColumns, merged = Math.min(sources, Math.floor(tokens * ratio));
  if (merged <= 0 || windowRows * windowColumns === 0) return;
  const channels4 = vec4s(x.shape);
  const shape = { images, tokens, width, windowRows, windowColumns, sources, merged, channels4 };

  const unit = x.graph.record(unitsKernel, { shape: x.shape, dtype: "f32" }, {
    operands: { x },
    constants: { Input: x.dtype },
    shape: { channels4, rows: rowsOf(x.shape) },
    workgroups: spread(rowsOf(x.shape)),
    loops: 2 * Math.ceil(channels4 / WORKGROUP) + Math.log2(WORKGROUP),
  });
  const matches = findMatches(unit, shape);
  const perSource = [Math.ceil(sources / WORKGROUP), images];
  const places = x.graph.record(placesKernel, { shape: [images, sources, 1], dtype: "u32" }, {
    operands: { matches },
    shape,
    workgroups: perSource,
    loops: sources,
  });
  const order = x.graph.record(orderKernel, { shape: [images, sources, 2], dtype: "u32" }, {
    operands: { places },
    shape,
    workgroups: perSource,
    loops: sources,
  });
  return { matches, places, order, shape };
}

/** Each source's destination, from tokens `x` of length 1. */
function findMatches(x: Value, shape: ShapeValues): Value {
  const { images, sources, channels4, windowRows, windowColumns } = shape, destinations = windowRows * windowColumns;
  const output = { shape: [images, sources, 2], dtype: "f32" } as const, { subgroupSize: LANES } = x.graph.target;
  const flops = 8 * images * sources * destinations * channels4;
  if (!LANES) {
    return x.graph.record(matchesTiled, output, {
      operands: { x },
      shape,
      workgroups: [Math.ceil(sources / 64), images],
      loops: Math.ceil(destinations / 16) * (1 + Math.ceil(channels4 / 4)),
      flops,
    });
  }
  const DESTINATIONS = Math.min(8, LANES), BLOCKS = 2;
  const PARTS = [4, 2, 1].find((parts) => channels4 % parts === 0)!;
  return x.graph.record(matchesShuffle, output, {
    operands: { x },
    constants: { LANES, BLOCKS, DESTINATIONS, PARTS },
    shape,
    workgroups: [Math.ceil(sources / (LANES * BLOCKS)), images],
    loops: Math.ceil(destinations / DESTINATIONS) * (1 + channels4 / PARTS),
    flops,
  });
}

/** Tokens `x` [images, tokens, channels] to the sources that stay and the destinations' means [images, fewer, channels]. */
export function mergeTokens(x: Value, { order, shape }: Merge): Value {
  const { images, tokens, sources, merged } = shape, output = [images, tokens - merged, x.shape[2]];
  return x.graph.record(mergeKernel, { shape: output, dtype: x.dtype }, {
    operands: { x, order },
    constants: { Scalar: x.dtype },
    shape,
    workgroups: spread(Math.ceil(rowsOf(output) * shape.channels4 / WORKGROUP)),
    // A search among the merged sources, and at worst all of them in one destination.
    loops: Math.ceil(Math.log2(sources + 1)) + 1 + sources,
  });
}

/** What was made of merged tokens `x` [images, fewer, channels] for every token: [images, tokens, channels]. */
export function unmergeTokens(x: Value, { places, shape }: Merge): Value {
  const { images, tokens } = shape, output = [images, tokens, x.shape[2]];
  return x.graph.record(unmergeKernel, { shape: output, dtype: x.dtype }, {
    operands: { x, places },
    constants: { Scalar: x.dtype },
    shape,
    workgroups: spread(Math.ceil(rowsOf(output) * shape.channels4 / WORKGROUP)),
  });
}
