/** What sampling starts from, worked out on the host: latents of pictures, masks at their size, noise mixed in. All channels-last. */
import type { Level } from "../samplers/step.ts";
import { resizeMask } from "../image/resize.ts";
import type { Inpaint } from "./tasks.ts";

/** [images, height, width, channels] of latents. */
export type LatentShape = readonly [images: number, height: number, width: number, channels: number];

/**
 * Clean latents of `images` pictures from the `moments` [1, height, width, 2 · channels] of one: scalingFactor · (mean +
 * exp(logvar / 2) · n), with the log variance clamped as the reference clamps it; the mean alone where there is no
 * `posterior` [images, height, width, channels].
 */
export function sampleMoments(
  moments: Float32Array,
  [images, height, width, channels]: LatentShape,
  { scalingFactor, posterior }: { scalingFactor: number; posterior?: Float32Array },
): Float32Array {
  const size = height * width * channels;
  return Float32Array.from({ length: images * size }, (_, i) => {
    const at = Math.floor(i % size / channels) * 2 * channels + i % channels;
    const deviation = posterior ? Math.exp(Math.min(20, Math.max(-30, moments[at + channels])) / 2) * posterior[i] : 0;
    return scalingFactor * (moments[at] + deviation);
  });
}

/** signal · clean + noise · n; noise alone where there is no clean part. */
export function mixNoise(
  clean: Float32Array | undefined,
  normals: Float32Array,
  { signal, noise }: Level,
): Float32Array {
  return normals.map((n, i) => (clean ? signal * clean[i] : 0) + noise * n);
}

/**
 * How much each latent is repainted, 0 to 1, in the shape of the latents, from a mask's levels [height, width] of the
 * picture: shrunk by a bicubic window and cut at half, as A1111 does, or left as it is where masks are `soft`.
 */
export function latentMask(
  levels: Uint8Array<ArrayBuffer>,
  picture: { width: number; height: number },
  shape: LatentShape,
  { soft }: Pick<Inpaint, "soft">,
): Float32Array {
  const [, height, width] = shape;
  const small = resizeMask({ ...picture, levels }, { width, height, method: "bicubic" }).levels;
  return spreadMask(Float32Array.from(small, (level) => soft ? level / 255 : Math.round(level / 255)), shape);
}

/** The mask [height, width] once for each image and channel. */
export function spreadMask(mask: Float32Array, [images, height, width, channels]: LatentShape): Float32Array {
  const pixels = height * width;
  return Float32Array.from({ length: images * pixels * channels }, (_, i) => mask[Math.floor(i / channels) % pixels]);
}

/** Which pixels are repainted, 0 or 1: levels from half up. */
export function cutMask(levels: Uint8Array): Float32Array {
  return Float32Array.from(levels, (level) => level >= 128 ? 1 : 0);
}

/** Every `scale`-th row and column of a mask [height, width]: nearest neighbours as torch shrinks by a whole factor. */
export function shrinkMask(mask: Float32Array, width: number, scale: number): Float32Array {
  const small = width / scale, rows = mask.length / width / scale;
  return Float32Array.from(
    { length: small * rows },
    (_, i) => mask[Math.floor(i / small) * scale * width + i % small * scale],
  );
}

/** The clean latents with their masked part replaced by noise or by nothing, where that is what it starts from. */
export function refill(
  clean: Float32Array,
  mask: Float32Array,
  normals: Float32Array,
  fill: Inpaint["fill"],
): Float32Array {
  switch (fill) {
    case "fill":
    case "original":
      return clean;
    case "latent noise":
      return clean.map((value, i) => value * (1 - mask[i]) + normals[i] * mask[i]);
    case "latent nothing":
      return clean.map((value, i) => value * (1 - mask[i]));
    default:
      return fill satisfies never;
  }
}

/** RGB levels as the VAE reads them, in [-1, 1]; 0 where `hidden` is 1. */
export function toUnit(pixels: Uint8Array, hidden?: Float32Array): Float32Array {
  return Float32Array.from(pixels, (level, i) => hidden?.[Math.floor(i / 3)] ? 0 : level / 127.5 - 1);
}

/**
 * What a U-Net that was trained to inpaint reads beside the latents, [images, height, width, 1 + channels]: the mask and the latents of the picture without its masked part.
 */
export function inpaintChannels(
  mask: Float32Array,
  masked: Float32Array,
  [images, height, width, channels]: LatentShape,
): Float32Array {
  const pixels = height * width, depth = 1 + channels, one = new Float32Array(images * pixels * depth);
  for (let pixel = 0; pixel < images * pixels; pixel++) {
    one[pixel * depth] = mask[pixel % pixels];
    one.set(masked.subarray(pixel * channels, (pixel + 1) * channels), pixel * depth + 1);
  }
  return one;
}
