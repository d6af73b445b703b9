/** How the U-Net is told the timestep. */
import type { Value } from "../../graph/graph.ts";
import { Linear } from "../../nn/layers.ts";
import { Module } from "../../nn/module.ts";
import { add, silu } from "../../ops/elementwise.ts";
import type { UNetConfig } from "./config.ts";

/**
 * Sines and cosines of a timestep (Vaswani et al. 2017, 3.5), in float64: `width` numbers, with the cosines first where
 * the config flips them. On the host, because a GPU's sine of an angle near 1,000 may be off in the third decimal.
 */
export function timestepProjection(timestep: number, config: UNetConfig): Float32Array {
  const width = config.block_out_channels[0];
  return sinusoidal(timestep, width, { flipped: config.flip_sin_to_cos, shift: config.freq_shift });
}

/** The same for the guidance scale of a consistency model: (scale - 1) · 1000, sines first, one frequency less. */
export function guidanceProjection(guidanceScale: number, config: UNetConfig): Float32Array {
  return sinusoidal((guidanceScale - 1) * 1000, config.time_cond_proj_dim, { flipped: false, shift: 1 });
}

function sinusoidal(
  position: number,
  width: number,
  { flipped, shift }: { flipped: boolean; shift: number },
): Float32Array {
  const half = width >> 1, embedding = new Float32Array(width);
  for (let i = 0; i < half; i++) {
    const angle = position * Math.exp(-Math.log(10000) * i / (half - shift));
    embedding[flipped ? half + i : i] = Math.sin(angle);
    embedding[flipped ? i : half + i] = Math.cos(angle);
  }
  return embedding;
}

export class TimestepEmbedding extends Module {
  cond_proj?: Linear;
  linear_1: Linear;
  linear_2: Linear;

  constructor(inFeatures: number, outFeatures: number, conditionFeatures: number) {
    super();
    if (conditionFeatures) this.cond_proj = new Linear(conditionFeatures, inFeatures, { bias: false });
    this.linear_1 = new Linear(inFeatures, outFeatures);
    this.linear_2 = new Linear(outFeatures, outFeatures);
  }

  /** `projection` [1, inFeatures] and, for consistency models, `condition` [1, conditionFeatures] to [1, outFeatures]. */
  forward(projection: Value, condition?: Value): Value {
    const x = this.cond_proj && condition ? add(projection, this.cond_proj.forward(condition)) : projection;
    return this.linear_2.forward(silu(this.linear_1.forward(x)));
  }
}
