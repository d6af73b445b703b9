/** What is repainted: masks read from pictures, softened, and the part of a picture that they cover. */
import type { Mask, PictureWithAlpha } from "./picture.ts";
import type { Region, Size } from "./resize.ts";

/**
 * The mask that a picture stands for, as A1111 reads one: its alpha where a pixel is not opaque, cut at half, or else
 * its luma (ITU-R 601-2, Pillow's whole numbers).
 */
export function maskOf({ width, height, pixels, alpha }: PictureWithAlpha): Mask {
  const levels = new Uint8Array(width * height);
  if (alpha?.some((level) => level < 255)) {
    for (let i = 0; i < levels.length; i++) levels[i] = alpha[i] > 128 ? 255 : 0;
  } else {
    for (let i = 0; i < levels.length; i++) {
      levels[i] = (19595 * pixels[3 * i] + 38470 * pixels[3 * i + 1] + 7471 * pixels[3 * i + 2] + 32768) >> 16;
    }
  }
  return { width, height, levels };
}

/** Repaints what was kept, and keeps the rest. */
export function invert({ width, height, levels }: Mask): Mask {
  return { width, height, levels: levels.map((level) => 255 - level) };
}

/** Whether nothing would be repainted. */
export function isEmpty({ levels }: Mask): boolean {
  return levels.every((level) => level === 0);
}

/** Twice the levels, 255 at most: what A1111 lays over the whole picture, so that a soft edge is wholly repainted. */
export function doubled({ width, height, levels }: Mask): Mask {
  return { width, height, levels: levels.map((level) => Math.min(255, 2 * level)) };
}

/** The mask's area grown to all of both, pixel by pixel the larger level. */
export function union(a: Mask, b: Mask): Mask {
  return { ...a, levels: a.levels.map((level, i) => Math.max(level, b.levels[i])) };
}

/**
 * The mask through a Gaussian of deviation `sigma` pixels, along both sides, as A1111 does with OpenCV: a window of
 * 2 · ⌊2.5 sigma + 0.5⌋ + 1, mirrored at the edges without repeating them, rounded to 8 bits after each side.
 */
export function blur(mask: Mask, sigma: number): Mask {
  if (sigma <= 0) return mask;
  const { width, height } = mask, weights = gaussianWeights(sigma), reach = weights.length >> 1;
  const pass = (from: Uint8Array, length: number, step: number, lines: number, lineStep: number) => {
    const to = new Uint8Array(from.length), line = new Uint8Array(length + 2 * reach);
    for (let n = 0; n < lines; n++) {
      for (let i = 0; i < line.length; i++) line[i] = from[n * lineStep + mirror(i - reach, length) * step];
      for (let i = 0; i < length; i++) {
        let sum = 128;
        for (let k = 0; k < weights.length; k++) sum += weights[k] * line[i + k];
        to[n * lineStep + i * step] = sum >> 8;
      }
    }
    return to;
  };
  const across = pass(mask.levels, width, 1, height, width);
  return { width, height, levels: pass(across, height, width, width, 1) };
}

/** OpenCV's weights for 8-bit samples: whole numbers of 2⁻⁸ that add up to 1, what rounding leaves passed inwards. */
function gaussianWeights(sigma: number): number[] {
  const reach = Math.trunc(2.5 * sigma + 0.5);
  const window = Array.from({ length: reach + 1 }, (_, i) => Math.exp(-((i - reach) ** 2) / (2 * sigma ** 2)));
  const total = 2 * window.reduce((a, b) => a + b, 0) - 1;
  let left = 0;
  const half = window.slice(0, -1).map((weight) => {
    const exact = 256 * weight / total + left, rounded = Math.round(exact);
    left = exact - rounded;
    return rounded;
  });
  return [...half, 256 - 2 * half.reduce((a, b) => a + b, 0), ...half.toReversed()];
}

/** The index that lies where a row of `length`, mirrored about its outermost samples, has `index`. */
function mirror(index: number, length: number): number {
  if (length === 1) return 0;
  const period = 2 * (length - 1), at = ((index % period) + period) % period;
  return at < length ? at : period - at;
}

/**
 * The smallest part that holds all of a mask and `padding` pixels around it, within the mask; undefined where the mask
 * is empty. A1111's `get_crop_region`.
 */
export function regionOf({ width, height, levels }: Mask, padding: number): Region | undefined {
  let [left, top, right, bottom] = [width, height, -1, -1];
  for (let y = 0, i = 0; y < height; y++) {
    for (let x = 0; x < width; x++, i++) {
      if (levels[i] === 0) continue;
      if (x < left) left = x;
      if (x > right) right = x;
      if (y < top) top = y;
      bottom = y;
    }
  }
  if (right < 0) return undefined;
  const x = Math.max(0, left - padding), y = Math.max(0, top - padding);
  return { x, y, width: Math.min(width, right + 1 + padding) - x, height: Math.min(height, bottom + 1 + padding) - y };
}

/**
 * The region grown to the proportions it will be made in, as far as the picture reaches: both sides alike, shifted where
 * it would leave the picture. A1111's `expand_crop_region`.
 */
export function expandRegion(region: Region, made: Size, picture: Size): Region {
  if (region.width / region.height > made.width / made.height) {
    const { from, to } = grow(region.y, region.height, region.width / (made.width / made.height), picture.height);
    return { ...region, y: from, height: to - from };
  }
  const { from, to } = grow(region.x, region.width, region.height * (made.width / made.height), picture.width);
  return { ...region, x: from, width: to - from };
}

/** Begin and end of a side of `length` at `begin`, grown to `wanted` within 0 to `limit`. */
function grow(begin: number, length: number, wanted: number, limit: number): { from: number; to: number } {
  const more = Math.trunc(wanted - length);
  let from = begin - (more >> 1), to = begin + length + more - (more >> 1);
  if (to >= limit) [from, to] = [from - (to - limit), limit];
  if (from < 0) [from, to] = [0, to - from];
  return { from, to: Math.min(to, limit) };
}
