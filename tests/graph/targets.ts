/** Targets for graphs that are only recorded. */
import type { Target } from "../../src/graph/graph.ts";

/** Any device: no subgroups, weights in buffers, everything in f32. */
export const portable: Target = {
  subgroupSize: 0,
  weightStorage: "buffer",
  weightType: "f32",
  operandType: "f32",
  hiddenType: "f32",
};

/** A software driver in f16, hidden states in f32. */
export const softwareF16: Target = {
  subgroupSize: 8,
  weightStorage: "texture",
  weightType: "f16",
  operandType: "f16",
  hiddenType: "f32",
};
