/** One picture to make, every default filled in: what all surfaces translate to and the engine runs. */
export interface GenerateRequest {
  prompt: string;
  negativePrompt: string;
  /** Pixels; multiples of 8. */
  width: number;
  height: number;
  steps: number;
  /** Weight of the conditional over the unconditional prediction; 1 runs no unconditional half. */
  guidanceScale: number;
  sampler: string;
  scheduler: string;
  /** 0 to 2³² − 1. */
  seed: number;
  /** Whose normals the seed gives: CUDA's Philox (`nv`) or torch's CPU Mersenne twister (`cpu`). */
  rng: "nv" | "cpu";
  /** Stochasticity of DDIM, 0 to 1. */
  eta: number;
  /** Image-to-image: the picture to start from, already `width` × `height`, RGB, row by row. */
  initImage?: Uint8Array<ArrayBuffer>;
  /** Share of the schedule that image-to-image runs, above 0 to 1. */
  strength: number;
}
