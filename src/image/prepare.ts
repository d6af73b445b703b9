/** From the pictures a client sends to those a pipeline starts from: what is encoded, what is repainted, what is kept. */
import { fillMasked } from "./fill.ts";
import { blur, doubled, expandRegion, invert, isEmpty, maskOf, regionOf, union } from "./mask.ts";
import type { Overlay } from "./overlay.ts";
import { type Mask, type Picture, PictureError, type PictureWithAlpha } from "./picture.ts";
import { crop, cropMask, extend, type Fit, fit, fitMask, type Size } from "./resize.ts";

/** What is wanted of the pictures. */
export interface Preparation extends Size {
  /** How the picture comes to `width` × `height`; "latent" leaves that to the latents, and sides to multiples of `multiple`. */
  resizeMode: Fit | "latent";
  multiple: number;
  /** How the mask is used, where there is one or the canvas grows. */
  inpaint?: InpaintPreparation;
  /** Pixels of `width` × `height` that the picture does not reach, to be painted. */
  outpaint?: Borders;
}

/** How a mask is used. */
export interface InpaintPreparation {
  /** Deviation of the Gaussian that softens it, in its own pixels. */
  blur: number;
  invert: boolean;
  /** Whether the masked part starts as it was, and not as the colours around it. */
  keepsOriginal: boolean;
  /** Makes the masked part alone, with so many pixels around it, and puts it back. */
  onlyMasked?: { padding: number };
}

/** Pixels at each side. */
export interface Borders {
  left: number;
  top: number;
  right: number;
  bottom: number;
}

/** What a pipeline starts from. */
export interface Prepared {
  /** `width` × `height`, unless the latents are to be resized. */
  picture: Picture;
  /** What is repainted, `width` × `height`. */
  mask?: Mask;
  /** What comes around what was made. */
  overlay?: Overlay;
}

/**
 * Brings a picture and its mask to what a pipeline needs, in A1111's order: the mask is turned round, softened, and with
 * it the picture cropped or resized, then filled.
 *
 * @throws PictureError where the mask does not go with the picture
 */
export function prepare(
  source: PictureWithAlpha,
  sourceMask: PictureWithAlpha | undefined,
  how: Preparation,
): Prepared {
  const { width, height, inpaint, outpaint } = how, size = { width, height };
  if (sourceMask && (sourceMask.width !== source.width || sourceMask.height !== source.height)) {
    const [found, wanted] = [sourceMask, source].map((each) => `${each.width}×${each.height}`);
    throw new PictureError(
      "unfit",
      `The mask has ${found} pixels and init_image ${wanted}, one as large would do`,
      "mask",
    );
  }
  let picture: Picture = { width: source.width, height: source.height, pixels: source.pixels };
  let mask = sourceMask && maskOf(sourceMask);
  if (mask && inpaint?.invert) mask = invert(mask);
  if (mask && isEmpty(mask)) {
    const colour = inpaint?.invert ? "white" : "black", other = inpaint?.invert ? "black" : "white";
    const message = `The mask is ${colour} everywhere, ${other} where init_image is to be repainted would do`;
    throw new PictureError("unfit", message, "mask");
  }
  const softness = inpaint?.blur ?? 0;
  if (outpaint) ({ picture, mask } = outpainted(picture, mask, how, outpaint, 2 * softness));
  if (!mask || !inpaint) {
    return { picture: how.resizeMode === "latent" ? multiplesOf(picture, how) : fit(picture, size, how.resizeMode) };
  }
  mask = blur(mask, softness);
  const { made, madeMask, overlay } = inpaint.onlyMasked
    ? onlyMasked(picture, mask, size, inpaint.onlyMasked.padding)
    : wholePicture(picture, mask, size, how.resizeMode);
  return { picture: inpaint.keepsOriginal ? made : fillMasked(made, madeMask), mask: madeMask, overlay };
}

/** What is made, what of it is repainted, and what it is laid under. */
interface Making {
  made: Picture;
  madeMask: Mask;
  overlay: Overlay;
}

/** The part around the mask, as large as the model makes pictures. */
function onlyMasked(picture: Picture, mask: Mask, size: Size, padding: number): Making {
  const region = expandRegion(regionOf(mask, padding)!, size, picture);
  return {
    made: fit(crop(picture, region), size, "fill"),
    madeMask: fitMask(cropMask(mask, region), size, "fill"),
    overlay: { picture, mask, region },
  };
}

function wholePicture(picture: Picture, mask: Mask, size: Size, resizeMode: Preparation["resizeMode"]): Making {
  const how = resizeMode === "latent" ? "stretch" : resizeMode;
  const made = fit(picture, size, how), madeMask = fitMask(mask, size, how);
  return { made, madeMask, overlay: { picture: made, mask: doubled(madeMask) } };
}

/** The picture in the middle of a larger canvas, its edges repeated; the rest and `overlap` pixels of it are masked. */
function outpainted(
  picture: Picture,
  mask: Mask | undefined,
  { width, height, resizeMode }: Preparation,
  { left, top, right, bottom }: Borders,
  overlap: number,
): { picture: Picture; mask: Mask } {
  const inner = { width: width - left - right, height: height - top - bottom };
  const how = resizeMode === "latent" ? "stretch" : resizeMode, levels = new Uint8Array(width * height).fill(255);
  const kept = {
    left: left && left + overlap,
    top: top && top + overlap,
    right: width - (right && right + overlap),
    bottom: height - (bottom && bottom + overlap),
  };
  for (let y = kept.top; y < kept.bottom; y++) levels.fill(0, y * width + kept.left, y * width + kept.right);
  const border: Mask = { width, height, levels };
  const canvas = extend(fit(picture, inner, how), { left, top }, { width, height });
  return {
    picture: canvas,
    mask: mask ? union(border, place(fitMask(mask, inner, how), { left, top }, border)) : border,
  };
}

/** The mask in a larger one that is black. */
function place(mask: Mask, { left, top }: { left: number; top: number }, { width, height }: Size): Mask {
  const levels = new Uint8Array(width * height);
  for (let y = 0; y < mask.height; y++) {
    levels.set(mask.levels.subarray(y * mask.width, (y + 1) * mask.width), (y + top) * width + left);
  }
  return { width, height, levels };
}

/** The picture with both sides rounded to what the VAE takes. */
function multiplesOf(picture: Picture, { multiple }: Preparation): Picture {
  const [width, height] = [picture.width, picture.height].map((side) =>
    Math.max(1, Math.round(side / multiple)) * multiple
  );
  return fit(picture, { width, height }, "stretch");
}
