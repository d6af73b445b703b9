/** How often the loops of each kernel turn in one invocation, worked out from its source, apart from what ops declare. */
import type { Dispatch, Target } from "../../src/graph/graph.ts";

/** A target of f32 for recording: subgroups of `lanes`, or none for 0. */
export function target(lanes: number, weightStorage: Target["weightStorage"] = "buffer"): Target {
  return {
    subgroupSize: lanes,
    weightStorage,
    weightType: "f32",
    operandType: "f32",
    hiddenType: "f32",
  };
}

/** Of a kernel: how many loops its source has that are not unrolled, and their iterations together at worst. */
export interface Loops {
  statements: number;
  iterations(dispatch: Dispatch): number;
}

/** Values of the kernel's Shape and its numeric constants. */
function numbers({ shape, constants }: Dispatch): Record<string, number> {
  return { ...shape, ...constants } as Record<string, number>;
}

/** One token of each window. */
function destinations({ shape: { windowRows, windowColumns } }: Dispatch): number {
  return windowRows * windowColumns;
}

const { ceil, min, log2 } = Math;

/** By the kernel's name. A loop in a loop counts its own turns and those inside. Kernels not named here have no loops. */
export const loops: Readonly<Record<string, Loops>> = {
  // taps, and in each the vec4s of the input channels
  "matmul_shuffle": { statements: 2, iterations: (d) => d.shape.taps * (1 + d.shape.in4) },
  // the same, two vec4s at a time
  "matmul_texture": { statements: 2, iterations: (d) => d.shape.taps * (1 + d.shape.in4 / 2) },
  // the same, four vec4s at a time
  "matmul_tiled": { statements: 2, iterations: (d) => d.shape.taps * (1 + ceil(d.shape.in4 / 4)) },
  // blocks of keys, and in each the vec4s of a head
  "attention_shuffle": {
    statements: 2,
    iterations: (d) => ceil(d.shape.keys / numbers(d).KEYS) * (1 + d.shape.size4 / numbers(d).PARTS),
  },
  // blocks of keys
  "attention_texture": { statements: 1, iterations: (d) => ceil(d.shape.keys / numbers(d).KEYS) },
  // the queries' copy; blocks of 64 keys, and in each the vec4s of a head, maximum and exponentials by fours, the sum
  "attention_tiled": {
    statements: 6,
    iterations: ({ shape: { keys, size4 } }) =>
      ceil((size4 > 64 ? 4 : 8) * size4 / 64) + ceil(keys / 64) * (1 + size4 + 16 + 16) + keys,
  },
  // pixels of a chunk
  "group_norm_sums": { statements: 1, iterations: ({ shape: { chunkPixels, pixels } }) => min(chunkPixels, pixels) },
  // three passes over a thread's channels, one sum over the chunks in the first and two in the second; two trees over 64
  "group_norm_scale": {
    statements: 5,
    iterations: ({ shape: { channels, groups, chunks } }) =>
      ceil(channels / groups / 64) * (1 + chunks + 1 + 2 * chunks + 1) + 2 * log2(64),
  },
  // chunks of a band
  "band_moments": { statements: 1, iterations: ({ shape: { chunks } }) => chunks },
  // channels of a group, twice
  "band_scale": { statements: 2, iterations: ({ shape: { channels, groups } }) => 2 * channels / groups },
  // three passes over a lane's vec4s
  "layer_norm subgroup": { statements: 3, iterations: (d) => 3 * ceil(d.shape.channels4 / numbers(d).LANES) },
  // and two trees over 64
  "layer_norm workgroup": { statements: 4, iterations: (d) => 3 * ceil(d.shape.channels4 / 64) + 2 * log2(64) },
  // two passes over a lane's vec4s, and a tree over 64
  "token_units": { statements: 2, iterations: ({ shape: { channels4 } }) => 2 * ceil(channels4 / 64) + log2(64) },
  // blocks of destinations, and in each the vec4s of a token
  "token_matches_shuffle": {
    statements: 2,
    iterations: (d) => ceil(destinations(d) / numbers(d).DESTINATIONS) * (1 + d.shape.channels4 / numbers(d).PARTS),
  },
  // the same, 16 and four vec4s at a time
  "token_matches_tiled": {
    statements: 2,
    iterations: (d) => ceil(destinations(d) / 16) * (1 + ceil(d.shape.channels4 / 4)),
  },
  // sources
  "token_places": { statements: 1, iterations: ({ shape: { sources } }) => sources },
  "token_order": { statements: 1, iterations: ({ shape: { sources } }) => sources },
  // halving the slots, and at worst all merged sources and one more
  "token_merge": {
    statements: 2,
    iterations: ({ shape: { sources, merged } }) => ceil(log2(merged + 1)) + min(sources, merged + 1),
  },
  // slots of the history
  "advance": { statements: 1, iterations: () => 7 },
  // deviations in two passes over an image, the percentile in 31 and one more; 36 trees over 256
  "guide_statistics": {
    statements: 5,
    iterations: ({ shape: { size } }) => 34 * ceil(size / 256) + 31 + 36 * log2(256),
  },
  // rows of the window, and in each the columns
  "resample": { statements: 2, iterations: ({ shape: { rowTaps, columnTaps } }) => rowTaps * (1 + columnTaps) },
  // channels of a latent pixel
  "latents_rgb": { statements: 1, iterations: ({ shape: { channels } }) => channels },
  // bytes of a word
  "png_filter": { statements: 1, iterations: () => 4 },
  // parts of a vec4; the loader dispatches these, not a graph
  "repack_matmul": { statements: 1, iterations: () => 4 },
  "repack_pairs": { statements: 1, iterations: () => 4 },
  "repack_rows": { statements: 1, iterations: () => 4 },
};

/** The loops of a dispatch's kernel; how its operands are stored makes no difference. */
export function loopsOf(kernel: string): Loops | undefined {
  return loops[kernel] ?? loops[kernel.replace(/ (texture|f16|f32·f16|f16·f32)$/, "")];
}

/** Loops of WGSL source that are not under an `// unroll` comment, which writes them out. */
export function countLoops(source: string): number {
  const lines = source.split("\n").map((line) => line.trim());
  return lines.filter((line, i) => /^(for|while|loop)\b/.test(line) && lines[i - 1] !== "// unroll").length;
}
