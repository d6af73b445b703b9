/** The ways to make a picture beside a prompt: what a request may say of them, and what follows from it. */
import type { Borders, Overlay, Preparation, Prepared } from "../image/read.ts";
import type { Interpolation } from "../ops/resample.ts";
import type { SamplerName, SchedulerName } from "../samplers/names.ts";

/** How a picture of other proportions is brought to `width` × `height`, in A1111's order of numbers. */
export const resizeModes = ["stretch", "crop", "fill", "latent"] as const;

/** What the masked part starts from, in A1111's order of numbers. */
export const inpaintFills = ["fill", "original", "latent noise", "latent nothing"] as const;

/** How a mask is used. */
export interface Inpaint {
  /** Deviation of the Gaussian that softens the mask, in pixels. */
  blur: number;
  /** Repaints what is black instead. */
  invert: boolean;
  fill: typeof inpaintFills[number];
  /** Makes the part around the mask alone, with `padding` pixels around it, and puts it back into the whole picture. */
  onlyMasked: boolean;
  padding: number;
  /** Blends latents by the mask's levels instead of cutting them at half. */
  soft: boolean;
}

/** How pictures are enlarged between the two passes. */
export type Upscaler = { kind: "latent"; how: Interpolation } | { kind: "picture"; method: "lanczos" | "nearest" };

/** A1111's names of upscalers. */
export const upscalers: Readonly<Record<string, Upscaler>> = {
  "Latent": { kind: "latent", how: "bilinear" },
  "Latent (antialiased)": { kind: "latent", how: "bilinear antialiased" },
  "Latent (bicubic)": { kind: "latent", how: "bicubic" },
  "Latent (bicubic antialiased)": { kind: "latent", how: "bicubic antialiased" },
  "Latent (nearest)": { kind: "latent", how: "nearest" },
  "Latent (nearest-exact)": { kind: "latent", how: "nearest-exact" },
  "Lanczos": { kind: "picture", method: "lanczos" },
  "Nearest": { kind: "picture", method: "nearest" },
};

/** A second pass over an enlarged picture. */
export interface Hires {
  /** What the picture is enlarged to. */
  width: number;
  height: number;
  /** One of {@link upscalers}. */
  upscaler: string;
  /** Steps of the schedule of which the second pass runs its `strength`. */
  steps: number;
  strength: number;
  sampler: SamplerName;
  scheduler: SchedulerName;
}

/** Guidance beyond its scale. */
export interface Guidance {
  /** Share of the conditional prediction's deviation that the guided one takes on, 0 to 1. */
  rescale: number;
  /** The shares of the run between which the unconditional half runs. */
  start: number;
  end: number;
  /** Largest magnitude of clean latents, by `percentile` of them; 0 for any. */
  threshold: number;
  percentile: number;
}

/** Guidance as usual. */
export const plainGuidance: Guidance = { rescale: 0, start: 0, end: 1, threshold: 0, percentile: 0.995 };

/** What a request may say beside prompts, size, steps and sampler; absent fields are the usual way. */
export interface Tasks {
  /** Pictures made together, and how often so many are made: image i of all has seed + i. */
  n?: number;
  iterations?: number;
  /** Image-to-image: the picture to start from, RGB, row by row; `width` × `height` unless `initSize` says otherwise. */
  initImage?: Uint8Array<ArrayBuffer>;
  initSize?: { width: number; height: number };
  resizeMode?: typeof resizeModes[number];
  /** What is repainted, 0 to 255, `width` × `height`. */
  mask?: Uint8Array<ArrayBuffer>;
  /** What comes around what was made, and so how large the whole is. */
  overlay?: Overlay;
  outputSize?: { width: number; height: number };
  /** How the mask is used: there where the request has a mask or grows its canvas. */
  inpaint?: Inpaint;
  /** Pixels at each side of `width` × `height` that `initImage` does not reach. */
  outpaint?: Borders;
  hires?: Hires;
  guidance?: Guidance;
  /** Makes opposite edges join. */
  tiling?: boolean;
  /** Share of the largest self-attention's tokens that are merged. */
  tokenMerging?: number;
  /** Calls of the U-Net from one that is whole to the next. */
  stepCache?: number;
  /** Small pictures on the way, spread evenly over the steps. */
  previews?: number;
}

/** Pictures that a request makes. */
export function pictureCount({ n = 1, iterations = 1 }: Tasks): number {
  return n * iterations;
}

/** Each picture of a request as a request of its own: image i has seed + i, or of variations of one seed subseed + i. */
export function eachPicture<Request extends Tasks & { seed: number; subseed?: number }>(request: Request): Request[] {
  const { n: _n, iterations: _iterations, ...one } = request;
  return Array.from({ length: pictureCount(request) }, (_, i) => ({
    ...one,
    ...(request.subseed === undefined
      ? { seed: (request.seed + i) % 2 ** 32 }
      : { subseed: (request.subseed + i) % 2 ** 32 }),
  } as Request));
}

/** Pixels of what a request gives. */
export function outputSize(request: Tasks & { width: number; height: number }): { width: number; height: number } {
  const { width, height } = request.outputSize ?? request.hires ?? request;
  return { width, height };
}

/** What the sides of pictures are multiples of, for every VAE that is built here. */
export const sideMultiple = 8;

/** What is wanted of a request's pictures; `multiple` is what sides of pictures are multiples of. */
export function preparationOf(
  { width, height, resizeMode = "stretch", inpaint, outpaint }: Tasks & { width: number; height: number },
  multiple: number,
): Preparation {
  return {
    width,
    height,
    resizeMode,
    multiple,
    outpaint,
    inpaint: inpaint && {
      blur: inpaint.blur,
      invert: inpaint.invert,
      keepsOriginal: inpaint.fill === "original",
      onlyMasked: inpaint.onlyMasked ? { padding: inpaint.padding } : undefined,
    },
  };
}

/** Gives a request its pictures. */
export function attachPictures(
  request: Tasks & { width: number; height: number },
  { picture: { width, height, pixels }, mask, overlay }: Prepared,
): void {
  request.initImage = pixels;
  if (width !== request.width || height !== request.height) request.initSize = { width, height };
  if (mask) request.mask = mask.levels;
  if (overlay) {
    request.overlay = overlay;
    request.outputSize = { width: overlay.picture.width, height: overlay.picture.height };
  }
}

/** Takes a request's pictures from it again, which are many megabytes; what size it gives stays known. */
export function detachPictures(request: Tasks): void {
  delete request.initImage;
  delete request.mask;
  delete request.overlay;
}

/** Whether the unconditional half runs at step `i` of `steps`. */
export function isGuided(i: number, steps: number, { start, end }: Guidance): boolean {
  return i >= Math.floor(start * steps) && i < Math.ceil(end * steps);
}

/** Whether a preview is due after step `i` (from 0) of `steps`: `previews` of them, evenly spread, the last step's not among them. */
export function isPreviewed(i: number, steps: number, previews: number): boolean {
  const due = (step: number) => Math.floor(step * (previews + 1) / steps);
  return i + 1 < steps && due(i + 1) > due(i);
}
