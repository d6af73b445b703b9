/** The turn a camera asks for: reading it from EXIF and applying it. */
import type { PictureWithAlpha } from "./picture.ts";

/** EXIF's tag `Orientation`, 1 (as stored) to 8, of a TIFF block; 1 where it says nothing or cannot be read. */
export function orientationOf(exif: Uint8Array | undefined): number {
  if (!exif || exif.length < 8) return 1;
  const view = new DataView(exif.buffer, exif.byteOffset, exif.length);
  const byteOrder = view.getUint16(0);
  if (byteOrder !== 0x4949 && byteOrder !== 0x4d4d) return 1;
  const little = byteOrder === 0x4949;
  const directory = view.getUint32(4, little);
  if (view.getUint16(2, little) !== 42 || directory + 2 > exif.length) return 1;
  const entries = view.getUint16(directory, little);
  for (let i = 0; i < entries; i++) {
    const entry = directory + 2 + 12 * i;
    if (entry + 12 > exif.length) return 1;
    if (view.getUint16(entry, little) !== 0x0112) continue;
    const orientation = view.getUint16(entry + 8, little);
    return orientation >= 1 && orientation <= 8 ? orientation : 1;
  }
  return 1;
}

/** The picture as it should be seen: orientations 2 to 4 mirror and turn it, 5 to 8 exchange its sides as well. */
export function turn(picture: PictureWithAlpha, orientation: number): PictureWithAlpha {
  if (orientation === 1) return picture;
  const { width: sourceWidth, height: sourceHeight, alpha } = picture, isTransposed = orientation > 4;
  const width = isTransposed ? sourceHeight : sourceWidth, height = isTransposed ? sourceWidth : sourceHeight;
  const turned = (source: Uint8Array, channels: number) => {
    const fromRight = [2, 3, 7, 8].includes(orientation), fromBottom = [3, 4, 6, 7].includes(orientation);
    const samples = new Uint8Array(source.length);
    for (let y = 0, to = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        const [column, row] = isTransposed ? [y, x] : [x, y];
        const sourceX = fromRight ? sourceWidth - 1 - column : column;
        const sourceY = fromBottom ? sourceHeight - 1 - row : row;
        const from = (sourceY * sourceWidth + sourceX) * channels;
        for (let channel = 0; channel < channels; channel++) samples[to++] = source[from + channel];
      }
    }
    return samples;
  };
  return { width, height, pixels: turned(picture.pixels, 3), ...(alpha && { alpha: turned(alpha, 1) }) };
}
