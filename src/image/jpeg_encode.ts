/** RGB to JPEG: mozjpeg compiled to WebAssembly, with a text in EXIF's user comment, where A1111 keeps its infotext. */
import mozjpeg from "@jsquash/jpeg/codec/enc/mozjpeg_enc.js";
import type { Picture } from "./picture.ts";

/** What is used of the codec; its own type names lean on a global that its package does not bring along. */
interface Codec {
  encode(rgba: Uint8Array, width: number, height: number, options: Record<string, unknown>): Uint8Array;
}
interface CodecOptions {
  noInitialRun: boolean;
  instantiateWasm(imports: WebAssembly.Imports, done: (instance: WebAssembly.Instance) => void): WebAssembly.Exports;
}
const createCodec = mozjpeg as unknown as (options: CodecOptions) => Promise<Codec>;

/** Where the encoder's WebAssembly lies. */
export const encoderUrl: string = import.meta.resolve("@jsquash/jpeg/codec/enc/mozjpeg_enc.wasm");

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

/** The JPEG of a picture at a quality of 1 to 100. A comment that is too long for its segment is left out. */
export async function encodeJpeg(
  { width, height, pixels }: Picture,
  { quality, comment, wasm }: { quality: number; comment: string; wasm: WebAssembly.Module },
): Promise<Uint8Array<ArrayBuffer>> {
  const codec = await createCodec({
    noInitialRun: true,
    instantiateWasm(imports, done) {
      const instance = new WebAssembly.Instance(wasm, imports);
      done(instance);
      return instance.exports;
    },
  });
  const rgba = new Uint8Array(width * height * 4).fill(255);
  for (let from = 0, to = 0; from < pixels.length; from += 3, to += 4) {
    rgba[to] = pixels[from];
    rgba[to + 1] = pixels[from + 1];
    rgba[to + 2] = pixels[from + 2];
  }
  const jpeg = codec.encode(rgba, width, height, { ...codecOptions, quality }).slice();
  const exif = exifWith(comment);
  if (exif.length > largestSegment) return jpeg;
  const whole = new Uint8Array(jpeg.length + 4 + exif.length);
  whole.set(jpeg.subarray(0, 2)); // SOI
  whole.set([0xff, 0xe1, (exif.length + 2) >> 8, (exif.length + 2) & 0xff], 2);
  whole.set(exif, 6);
  whole.set(jpeg.subarray(2), 6 + exif.length);
  return whole;
}

/**
 * An EXIF block that holds nothing but the tag `UserComment` (EXIF 2.3, 4.6.5): a big-endian TIFF whose first directory
 * points to the EXIF directory, and that to the comment, eight bytes of its encoding's name and UTF-16.
 */
function exifWith(comment: string): Uint8Array {
  const head = 6 + 8 + 18 + 18, length = 8 + 2 * comment.length;
  const bytes = new Uint8Array(head + length);
  const view = new DataView(bytes.buffer);
  const ascii = (at: number, text: string) => new TextEncoder().encodeInto(text, bytes.subarray(at));
  ascii(0, "Exif\0\0MM\0*");
  view.setUint32(10, 8); // where the first directory starts, counted from "MM"
  const directory = (at: number, [tag, type, count, value]: number[]) => {
    view.setUint16(at, 1);
    view.setUint16(at + 2, tag);
    view.setUint16(at + 4, type);
    view.setUint32(at + 6, count);
    view.setUint32(at + 10, value);
  };
  directory(14, [0x8769, 4, 1, 26]); // Exif IFD: a LONG
  directory(32, [0x9286, 7, length, 44]); // UserComment: bytes
  ascii(head, "UNICODE\0");
  for (let i = 0; i < comment.length; i++) view.setUint16(head + 8 + 2 * i, comment.charCodeAt(i));
  return bytes;
}
