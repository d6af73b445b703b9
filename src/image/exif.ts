/** What is read of EXIF, and written: the turn a camera asks for, and the comment in which A1111 keeps its infotext. */
import type { PictureWithAlpha } from "./picture.ts";

/** Tags of EXIF 2.3, 4.6. */
const orientationTag = 0x0112, exifTag = 0x8769, commentTag = 0x9286;

/** EXIF's tag `Orientation`, 1 (as stored) to 8, of a TIFF block; 1 where it says nothing or cannot be read. */
export function orientationOf(exif: Uint8Array | undefined): number {
  const block = open(exif), entry = block && entryOf(block, block.first, orientationTag);
  const orientation = entry ? block.view.getUint16(entry + 8, block.little) : 1;
  return orientation >= 1 && orientation <= 8 ? orientation : 1;
}

/** EXIF's user comment of a TIFF block; undefined where there is none. Its UTF-16 is big-endian, as A1111 has it. */
export function commentOf(exif: Uint8Array | undefined): string | undefined {
  const block = open(exif), { view, little } = block ?? {};
  const entry = block && entryOf(block, block.first, exifTag);
  const directory = entry && view!.getUint32(entry + 8, little);
  const comment = directory && entryOf(block!, directory, commentTag);
  if (!comment) return undefined;
  const length = view!.getUint32(comment + 4, little), at = view!.getUint32(comment + 8, little);
  if (length < 8 || at + length > exif!.length) return undefined;
  const isUnicode = new TextDecoder().decode(exif!.subarray(at, at + 8)) === "UNICODE\0";
  return new TextDecoder(isUnicode ? "utf-16be" : "utf-8").decode(exif!.subarray(at + 8, at + length));
}

/** A TIFF block and where its first directory is. */
interface Block {
  view: DataView;
  little: boolean;
  first: number;
}

function open(exif: Uint8Array | undefined): Block | undefined {
  if (!exif || exif.length < 8) return undefined;
  const view = new DataView(exif.buffer, exif.byteOffset, exif.length), byteOrder = view.getUint16(0);
  const little = byteOrder === 0x4949;
  if (!little && byteOrder !== 0x4d4d || view.getUint16(2, little) !== 42) return undefined;
  return { view, little, first: view.getUint32(4, little) };
}

/** Where a directory's entry of a tag is: tag and type, the number of values, the value or where it is. */
function entryOf({ view, little }: Block, directory: number, tag: number): number | undefined {
  if (directory + 2 > view.byteLength) return undefined;
  const entries = view.getUint16(directory, little);
  for (let i = 0; i < entries; i++) {
    const entry = directory + 2 + 12 * i;
    if (entry + 12 > view.byteLength) return undefined;
    if (view.getUint16(entry, little) === tag) return entry;
  }
}

/**
 * A big-endian TIFF block that holds nothing but a user comment: its first directory points to the EXIF directory, and
 * that to the comment, eight bytes of its encoding's name and UTF-16.
 */
export function commentBlock(comment: string): Uint8Array<ArrayBuffer> {
  const head = 8 + 18 + 18, length = 8 + 2 * comment.length;
  const bytes = new Uint8Array(head + length);
  const view = new DataView(bytes.buffer);
  const ascii = (at: number, text: string) => new TextEncoder().encodeInto(text, bytes.subarray(at));
  ascii(0, "MM\0*");
  view.setUint32(4, 8); // where the first directory starts
  const directory = (at: number, [tag, type, count, value]: number[]) => {
    view.setUint16(at, 1);
    view.setUint16(at + 2, tag);
    view.setUint16(at + 4, type);
    view.setUint32(at + 6, count);
    view.setUint32(at + 10, value);
  };
  directory(8, [exifTag, 4, 1, 26]); // a LONG
  directory(26, [commentTag, 7, length, head]); // bytes
  ascii(head, "UNICODE\0");
  for (let i = 0; i < comment.length; i++) view.setUint16(head + 8 + 2 * i, comment.charCodeAt(i));
  return bytes;
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
