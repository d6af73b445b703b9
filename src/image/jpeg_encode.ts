/** RGB to JPEG: mozjpeg compiled to WebAssembly, with a text in EXIF's user comment, where A1111 keeps its infotext. */
import mozjpeg from "@jsquash/jpeg/codec/enc/mozjpeg_enc.js";
import { addAlpha, startCodec } from "./codec.ts";
import { commentBlock } from "./exif.ts";
import type { Picture } from "./picture.ts";

/** What is used of the codec. */
interface Codec {
  encode(rgba: Uint8Array, width: number, height: number, options: Record<string, unknown>): Uint8Array;
}

/** Where the encoder's WebAssembly lies. */
export const jpegEncoderUrl: string = import.meta.resolve("@jsquash/jpeg/codec/enc/mozjpeg_enc.wasm");

/** mozjpeg's own defaults, and chroma at full size from quality 90 on. */
const codecOptions = {
  baseline: false,
  arithmetic: false,
  progressive: true,
  optimize_coding: true,
  smoothing: 0,
  color_space: 3, // YCbCr
  quant_table: 3,
  trellis_multipass: false,
  trellis_opt_zero: false,
  trellis_opt_table: false,
  trellis_loops: 1,
  auto_subsample: true,
  chroma_subsample: 2,
  separate_chroma_quality: false,
  chroma_quality: 75,
};

/** Most bytes that a segment of a JPEG holds beside its length. */
const largestSegment = 0xffff - 2;
/** What an EXIF segment begins with. */
const exifMark = new TextEncoder().encode("Exif\0\0");

/** The JPEG of a picture at a quality of 1 to 100. A comment that is too long for its segment is left out. */
export async function encodeJpeg(
  { width, height, pixels }: Picture,
  { quality, comment, wasm }: { quality: number; comment: string; wasm: WebAssembly.Module },
): Promise<Uint8Array<ArrayBuffer>> {
  const codec = await startCodec<Codec>(mozjpeg, wasm);
  const jpeg = codec.encode(addAlpha(pixels), width, height, { ...codecOptions, quality }).slice();
  const exif = commentBlock(comment), length = exifMark.length + exif.length;
  if (length > largestSegment) return jpeg;
  const whole = new Uint8Array(jpeg.length + 4 + length);
  whole.set(jpeg.subarray(0, 2)); // SOI
  whole.set([0xff, 0xe1, (length + 2) >> 8, (length + 2) & 0xff], 2);
  whole.set(exifMark, 6);
  whole.set(exif, 6 + exifMark.length);
  whole.set(jpeg.subarray(2), 6 + length);
  return whole;
}
