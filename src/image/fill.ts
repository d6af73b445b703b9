/**
 * What stands where a picture is repainted: the colours around the mask, smeared into it. A1111's `masking.fill`, with
 * Pillow's arithmetic: 8 bits after each step, premultiplied alpha, a Gaussian of three box blurs.
 */
import type { Mask, Picture } from "./picture.ts";

/** Radii of the blurs that are laid over each other, widest first, and how often each is. */
const layers = [[256, 1], [64, 1], [16, 2], [4, 4], [2, 2], [0, 1]] as const;

/** The picture with what the mask covers replaced by the colours around it; all of it is black where nothing is kept. */
export function fillMasked(picture: Picture, mask: Mask): Picture {
  const { width, height } = picture, kept = premultiply(picture, mask);
  const canvas = new Uint8Array(width * height * 4);
  for (const [radius, times] of layers) {
    const layer = unpremultiply(radius === 0 ? kept : gaussianBlur(kept, width, height, radius));
    for (let i = 0; i < times; i++) lay(layer, canvas);
  }
  const pixels = new Uint8Array(width * height * 3);
  for (let i = 0; i < width * height; i++) {
    for (let channel = 0; channel < 3; channel++) pixels[3 * i + channel] = canvas[4 * i + channel];
  }
  return { width, height, pixels };
}

/** RGBA, alpha being what the mask keeps and the colours multiplied by it. */
function premultiply({ width, height, pixels }: Picture, { levels }: Mask): Uint8Array {
  const rgba = new Uint8Array(width * height * 4);
  for (let i = 0; i < width * height; i++) {
    const keep = 255 - levels[i];
    for (let channel = 0; channel < 3; channel++) rgba[4 * i + channel] = divide255(pixels[3 * i + channel] * keep);
    rgba[4 * i + 3] = keep;
  }
  return rgba;
}

function unpremultiply(rgba: Uint8Array): Uint8Array {
  const out = rgba.slice();
  for (let i = 0; i < out.length; i += 4) {
    const alpha = out[i + 3];
    if (alpha === 0 || alpha === 255) continue;
    for (let channel = 0; channel < 3; channel++) {
      out[i + channel] = Math.min(255, Math.trunc(255 * out[i + channel] / alpha));
    }
  }
  return out;
}

/** `layer` over `canvas`, in place (Pillow's `alpha_composite`, whole numbers of 2⁻⁷). */
function lay(layer: Uint8Array, canvas: Uint8Array): void {
  for (let i = 0; i < canvas.length; i += 4) {
    const above = layer[i + 3];
    if (above === 0) continue;
    const below = canvas[i + 3] * (255 - above), alpha255 = above * 255 + below;
    const share = Math.trunc(above * 255 * 255 * 128 / alpha255), rest = 255 * 128 - share;
    for (let channel = 0; channel < 3; channel++) {
      const sum = layer[i + channel] * share + canvas[i + channel] * rest + (128 << 7);
      canvas[i + channel] = ((sum >> 8) + sum) >> 8 >> 7;
    }
    canvas[i + 3] = divide255(alpha255);
  }
}

/** a / 255, rounded. */
function divide255(a: number): number {
  return (((a + 128) >> 8) + a + 128) >> 8;
}

/** RGBA through three box blurs along each side, whose radius is chosen for the deviation `radius` (Gwosdek et al. 2011). */
function gaussianBlur(rgba: Uint8Array, width: number, height: number, radius: number): Uint8Array {
  const variance = Math.fround(radius * radius / 3), length = Math.fround(Math.sqrt(12 * variance + 1));
  const whole = Math.fround(Math.floor((length - 1) / 2));
  const a = Math.fround((2 * whole + 1) * (whole * (whole + 1) - 3 * variance));
  const box = Math.fround(whole + Math.fround(a / Math.fround(6 * (variance - (whole + 1) * (whole + 1)))));
  let [from, to]: [Uint8Array, Uint8Array] = [rgba.slice(), new Uint8Array(rgba.length)];
  for (const [lines, lineStep, count, step] of [[height, width * 4, width, 4], [width, 4, height, width * 4]]) {
    for (let pass = 0; pass < 3; pass++) {
      for (let line = 0; line < lines; line++) {
        for (let channel = 0; channel < 4; channel++) {
          boxBlurLine(from, to, line * lineStep + channel, count, step, box);
        }
      }
      [from, to] = [to, from];
    }
  }
  return from;
}

/** One line of `count` samples, `step` apart, averaged over ±`radius`, the outermost samples in part; edges repeat. */
function boxBlurLine(
  from: Uint8Array,
  to: Uint8Array,
  begin: number,
  count: number,
  step: number,
  radius: number,
): void {
  const reach = Math.trunc(radius), weight = Math.trunc((1 << 24) / (radius * 2 + 1));
  const far = Math.trunc(((1 << 24) - (reach * 2 + 1) * weight) / 2);
  const at = (i: number) => from[begin + (i < 0 ? 0 : i < count ? i : count - 1) * step];
  let sum = 0;
  for (let i = -reach; i <= reach; i++) sum += at(i);
  for (let x = 0; x < count; x++) {
    const bulk = sum * weight + (at(x - reach - 1) + at(x + reach + 1)) * far + (1 << 23);
    to[begin + x * step] = Math.floor(bulk / (1 << 24));
    sum += at(x + reach + 1) - at(x - reach);
  }
}
