/** A cache between steps (Ma et al. 2023, "DeepCache"): which calls of the U-Net are whole, and what the others read. */
import { storageBytes } from "../graph/graph.ts";
import type { StableDiffusion } from "./model.ts";
import { type CanvasSize, latentShape } from "./recorder.ts";

/** Whether a call is whole and keeps its hidden states at the cut, or reads those that another one kept. */
export type CacheUse = "keep" | "read";

/** Where the U-Net is cut, as `UNetCut` counts: the outermost place, which saves the most. */
export const cacheDepth: number = 0;

/** Bytes of the hidden states at the cut, of so many halves of guidance. */
export function cacheBytes(model: StableDiffusion, size: CanvasSize, halves: 1 | 2): number {
  const [images, ...rest] = latentShape(model, size);
  const shape = model.unet.deepShape(cacheDepth, [halves * images, ...rest]);
  return storageBytes(shape, model.backend.target.hiddenType);
}

/**
 * The calls of one pass. Every `interval`th is whole, counted from the first one and anew from each whose prompts, or number of
 * them, are not those of the call before: what is kept belongs to them.
 */
export class StepCache {
  #told: readonly unknown[] = [];
  #calls = 0;

  constructor(readonly interval: number = 1) {}

  /** What the next call does, told `prompts`; undefined where every call is whole and nothing is kept. */
  next(prompts: readonly unknown[]): CacheUse | undefined {
    if (this.interval <= 1) return undefined;
    const isSame = prompts.length === this.#told.length && prompts.every((prompt, i) => prompt === this.#told[i]);
    this.#calls = isSame ? (this.#calls + 1) % this.interval : 0;
    this.#told = prompts;
    return this.#calls === 0 ? "keep" : "read";
  }
}
