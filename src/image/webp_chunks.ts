/** What a WebP says before it is decoded, of its container (RIFF) alone: its size, whether it moves, and its EXIF block. */
import { checkSize, PictureError } from "./picture.ts";

/** A chunk: its name of four letters and its bytes. */
interface Chunk {
  name: string;
  data: Uint8Array;
}

/**
 * Reads the chunks of a WebP file.
 *
 * @throws PictureError
 */
export function readChunks(
  file: Uint8Array,
): { width: number; height: number; hasAlpha: boolean; exif?: Uint8Array } {
  const chunks = [...chunksOf(file)], named = (name: string) => chunks.find((chunk) => chunk.name === name)?.data;
  const canvas = named("VP8X");
  if (canvas) checkSize("WebP", ...canvasSize(canvas));
  if (named("ANIM") || named("ANMF")) {
    throw new PictureError("unsupported", "Cannot read the WebP: it is an animation, a still picture would do");
  }
  const frame = chunks.find(({ name }) => name === "VP8 " || name === "VP8L");
  if (!frame) throw damaged("it has no picture");
  const { width, height, hasAlpha } = frame.name === "VP8L" ? readLossless(frame.data) : readLossy(frame.data);
  checkSize("WebP", width, height);
  // Some writers leave JPEG's mark in front of the block.
  const exif = named("EXIF"), marked = exif && String.fromCharCode(...exif.subarray(0, 6)) === "Exif\0\0";
  return { width, height, hasAlpha: hasAlpha || named("ALPH") !== undefined, exif: marked ? exif.subarray(6) : exif };
}

function* chunksOf(file: Uint8Array): Generator<Chunk> {
  const view = new DataView(file.buffer, file.byteOffset, file.length);
  if (file.length < 12) throw damaged("it ends before its first chunk");
  const end = 8 + view.getUint32(4, true);
  if (end > file.length) throw damaged(`its header says ${end} bytes, the file has ${file.length}`);
  for (let at = 12; at + 8 <= end;) {
    const length = view.getUint32(at + 4, true), name = String.fromCharCode(...file.subarray(at, at + 4));
    if (at + 8 + length > end) throw damaged(`its chunk at byte ${at} says ${length} bytes, ${end - at - 8} are left`);
    yield { name, data: file.subarray(at + 8, at + 8 + length) };
    at += 8 + length + length % 2;
  }
}

function canvasSize(data: Uint8Array): [width: number, height: number] {
  if (data.length < 10) throw damaged("its header VP8X is too short");
  const side = (at: number) => 1 + data[at] + (data[at + 1] << 8) + (data[at + 2] << 16);
  return [side(4), side(7)];
}

/** The frame header of VP8 (RFC 6386, 9.1). */
function readLossy(data: Uint8Array) {
  const isKey = data.length >= 10 && (data[0] & 1) === 0 && data[3] === 0x9d && data[4] === 0x01 && data[5] === 0x2a;
  if (!isKey) throw damaged("its frame header is none");
  const side = (at: number) => (data[at] + (data[at + 1] << 8)) & 0x3fff;
  return { width: side(6), height: side(8), hasAlpha: false };
}

/** The header of a lossless picture (RFC 9649, 3.4): each side less one in 14 bits, whether there is alpha, the version. */
function readLossless(data: Uint8Array) {
  if (data.length < 5 || data[0] !== 0x2f) throw damaged("its frame header is none");
  const bits = (data[1] | data[2] << 8 | data[3] << 16 | data[4] << 24) >>> 0;
  return { width: 1 + (bits & 0x3fff), height: 1 + (bits >>> 14 & 0x3fff), hasAlpha: (bits >>> 28 & 1) === 1 };
}

/**
 * A WebP file of one picture, as the encoder writes it, with an EXIF block behind it.
 *
 * @param file a header of twelve bytes and one chunk of an opaque picture
 */
export function withExif(
  file: Uint8Array,
  { width, height, exif }: { width: number; height: number; exif: Uint8Array },
): Uint8Array<ArrayBuffer> {
  const less = [width - 1, height - 1].flatMap((side) => [side & 0xff, side >> 8 & 0xff, side >> 16]);
  const canvas = Uint8Array.of(0x08, 0, 0, 0, ...less); // 8: there is EXIF
  const parts = [chunk("VP8X", canvas), file.subarray(12), chunk("EXIF", exif)];
  const length = 4 + parts.reduce((bytes, part) => bytes + part.length, 0);
  const whole = new Uint8Array(8 + length);
  whole.set(new TextEncoder().encode("RIFF....WEBP"));
  new DataView(whole.buffer).setUint32(4, length, true);
  let at = 12;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** A chunk as it stands in a file: of even length. */
function chunk(name: string, data: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(8 + data.length + data.length % 2);
  new TextEncoder().encodeInto(name, bytes);
  new DataView(bytes.buffer).setUint32(4, data.length, true);
  bytes.set(data, 8);
  return bytes;
}

export function damaged(reason: string): PictureError {
  return new PictureError("damaged", `Cannot read the WebP: ${reason}, an undamaged file would do`);
}
