/**
 * Resizing with a Lanczos window of three lobes, widened when shrinking so that nothing aliases: one pass along
 * each side, rounded to 8 bits in between. The arithmetic is Pillow's (`Image.resize` with `LANCZOS`), to the last bit.
 */
import type { Picture } from "./picture.ts";

const lobes = 3;
/** Weights are whole numbers of 2⁻²², so that sums over 8-bit samples fit 32 bits. */
const weightBits = 22;

/** The picture stretched to `width` × `height` pixels, whatever its proportions. */
export function resize(picture: Picture, { width, height }: { width: number; height: number }): Picture {
  const shrinksBy = { columns: picture.width - width, rows: picture.height - height };
  // The order is Pillow's too: columns first, unless more than twice as many rows go as columns.
  return shrinksBy.rows > Math.max(0, 2 * shrinksBy.columns)
    ? resizeColumns(resizeRows(picture, height), width)
    : resizeRows(resizeColumns(picture, width), height);
}

function resizeColumns(picture: Picture, width: number): Picture {
  const { width: from, height, pixels } = picture;
  if (width === from) return picture;
  const windows = windowsOf(from, width);
  const out = new Uint8Array(width * height * 3);
  for (let y = 0, to = 0; y < height; y++) {
    for (let x = 0; x < width; x++, to += 3) {
      const { first, weights } = windows[x];
      weigh(pixels, (y * from + first) * 3, 3, weights, out, to);
    }
  }
  return { width, height, pixels: out };
}

function resizeRows(picture: Picture, height: number): Picture {
  const { width, height: from, pixels } = picture;
  if (height === from) return picture;
  const windows = windowsOf(from, height);
  const out = new Uint8Array(width * height * 3);
  for (let y = 0, to = 0; y < height; y++) {
    const { first, weights } = windows[y];
    for (let x = 0; x < width; x++, to += 3) weigh(pixels, (first * width + x) * 3, width * 3, weights, out, to);
  }
  return { width, height, pixels: out };
}

/** One pixel: the weighted sum of the pixels at `from`, `from + stride`, …, rounded and clipped to 0…255. */
function weigh(pixels: Uint8Array, from: number, stride: number, weights: Int32Array, out: Uint8Array, to: number) {
  const half = 1 << (weightBits - 1);
  let [red, green, blue] = [half, half, half];
  for (let i = 0; i < weights.length; i++, from += stride) {
    red += pixels[from] * weights[i];
    green += pixels[from + 1] * weights[i];
    blue += pixels[from + 2] * weights[i];
  }
  out[to] = clip(red >> weightBits);
  out[to + 1] = clip(green >> weightBits);
  out[to + 2] = clip(blue >> weightBits);
}

function clip(value: number): number {
  return value < 0 ? 0 : value > 255 ? 255 : value;
}

/** For each of `to` places: the first of the `from` samples that count there, and their weights. */
function windowsOf(from: number, to: number): { first: number; weights: Int32Array }[] {
  const scale = from / to;
  const widening = Math.max(scale, 1);
  const support = lobes * widening;
  return Array.from({ length: to }, (_, i) => {
    const center = (i + 0.5) * scale;
    const first = Math.max(0, Math.trunc(center - support + 0.5));
    const end = Math.min(from, Math.trunc(center + support + 0.5));
    const weights = Array.from({ length: end - first }, (_, k) => lanczos((first + k - center + 0.5) / widening));
    const sum = weights.reduce((a, b) => a + b, 0);
    return { first, weights: Int32Array.from(weights, (weight) => roundHalfAway(weight / sum * (1 << weightBits))) };
  });
}

/** sinc(x) · sinc(x / 3) for −3 ≤ x < 3, else 0. */
function lanczos(x: number): number {
  return x >= -lobes && x < lobes ? sinc(x) * sinc(x / lobes) : 0;
}

function sinc(x: number): number {
  return x === 0 ? 1 : Math.sin(x * Math.PI) / (x * Math.PI);
}

function roundHalfAway(x: number): number {
  return Math.trunc(x < 0 ? x - 0.5 : x + 0.5);
}
