/** A picture or mask in the size that is wanted: stretched, cropped or with edges filled, as A1111's resize modes have it. */
import type { Mask, Picture } from "./picture.ts";
import { type Raster, resample, type ResampleMethod } from "./resample.ts";

/** Pixels. */
export interface Size {
  width: number;
  height: number;
}

/** How a picture of other proportions is brought to a size: all of it squeezed, its middle, or all of it with edges. */
export type Fit = "stretch" | "crop" | "fill";

/** The picture stretched to `width` × `height` pixels, whatever its proportions. */
export function resize(picture: Picture, { width, height, method }: Size & { method?: ResampleMethod }): Picture {
  return pictureOf(resample(rasterOf(picture), { width, height, method }));
}

/** The mask stretched to `width` × `height`. */
export function resizeMask(mask: Mask, { width, height, method }: Size & { method?: ResampleMethod }): Mask {
  return maskOf(resample(rasterOfMask(mask), { width, height, method }));
}

/** The picture in a size by a resize mode. */
export function fit(picture: Picture, size: Size, how: Fit): Picture {
  return pictureOf(fitRaster(rasterOf(picture), size, how));
}

/** The mask in a size by a resize mode. */
export function fitMask(mask: Mask, size: Size, how: Fit): Mask {
  return maskOf(fitRaster(rasterOfMask(mask), size, how));
}

/** `width` × `height` pixels from `x`, `y` on. */
export interface Region extends Size {
  x: number;
  y: number;
}

/** A part of a picture. */
export function crop(picture: Picture, region: Region): Picture {
  return pictureOf(cropRaster(rasterOf(picture), region));
}

/** A part of a mask. */
export function cropMask(mask: Mask, region: Region): Mask {
  return maskOf(cropRaster(rasterOfMask(mask), region));
}

/** The picture with its edges' pixels repeated outwards, `left` and `top` being negative distances where it is cut. */
export function extend(picture: Picture, at: { left: number; top: number }, size: Size): Picture {
  return pictureOf(place(rasterOf(picture), at, size));
}

/**
 * A1111's `resize_image` with modes 0, 1 and 2, a Lanczos window throughout. Sides are rounded down as there; edges
 * repeat the outermost pixels, to the last row where A1111 leaves an odd one black.
 */
function fitRaster(raster: Raster, size: Size, how: Fit): Raster {
  if (how === "stretch") return resample(raster, size);
  const { width, height } = size, isWider = width / height > raster.width / raster.height;
  const byWidth = how === "crop" ? isWider : !isWider && width / height !== raster.width / raster.height;
  const byHeight = how === "crop" ? !isWider : isWider || width / height === raster.width / raster.height;
  const resized = resample(raster, {
    width: byWidth ? width : Math.max(1, Math.floor(raster.width * height / raster.height)),
    height: byHeight ? height : Math.max(1, Math.floor(raster.height * width / raster.width)),
  });
  const left = (width >> 1) - (resized.width >> 1), top = (height >> 1) - (resized.height >> 1);
  return place(resized, { left, top }, size);
}

/** Puts the raster's corner at `left`, `top` of a new one; what lies outside of it repeats its edges. */
function place({ width: fromWidth, height: fromHeight, channels, data }: Raster, { left, top }: {
  left: number;
  top: number;
}, { width, height }: Size): Raster {
  const out = new Uint8Array(width * height * channels);
  for (let y = 0, to = 0; y < height; y++) {
    const row = clamp(y - top, fromHeight) * fromWidth;
    for (let x = 0; x < width; x++) {
      const from = (row + clamp(x - left, fromWidth)) * channels;
      for (let channel = 0; channel < channels; channel++) out[to++] = data[from + channel];
    }
  }
  return { width, height, channels, data: out };
}

function cropRaster(raster: Raster, { x, y, width, height }: Region): Raster {
  if (x < 0 || y < 0 || x + width > raster.width || y + height > raster.height) {
    throw new RangeError(`Cannot crop ${width}×${height} at ${x}, ${y} from ${raster.width}×${raster.height} pixels`);
  }
  return place(raster, { left: -x, top: -y }, { width, height });
}

function clamp(index: number, length: number): number {
  return index < 0 ? 0 : index < length ? index : length - 1;
}

function rasterOf({ width, height, pixels }: Picture): Raster {
  return { width, height, channels: 3, data: pixels };
}

function pictureOf({ width, height, data }: Raster): Picture {
  return { width, height, pixels: data };
}

function rasterOfMask({ width, height, levels }: Mask): Raster {
  return { width, height, channels: 1, data: levels };
}

function maskOf({ width, height, data }: Raster): Mask {
  return { width, height, levels: data };
}
