/** What a stage is recorded for, and how. */
import type { Graph } from "../graph/graph.ts";
import type { StableDiffusion } from "./model.ts";

/** What plans are recorded for. */
export interface CanvasSize {
  /** Pictures made together. */
  images: number;
  /** Pixels; multiples of the VAE's scale. */
  height: number;
  width: number;
  /** Whether opposite edges join. */
  tiling?: boolean;
  /** Which share of tokens the U-Net merges for attention: ops/merge.ts. */
  tokenMerging?: number;
}

/** How one stage is recorded into a graph. */
export interface Recorder {
  /** The network whose weights it binds, where it binds any. */
  network?: "textEncoder" | "unet" | "vae";
  /** Whether its convolutions join opposite edges. */
  wraps?: boolean;
  /** Which share of tokens its first level merges for attention. */
  tokenMerging?: number;
  record(graph: Graph): void;
}

/** [images, latent height, latent width, channels]. */
export function latentShape(
  { vae }: StableDiffusion,
  { images, height, width }: CanvasSize,
): [number, number, number, number] {
  return [images, height / vae.scale, width / vae.scale, vae.config.latent_channels];
}
