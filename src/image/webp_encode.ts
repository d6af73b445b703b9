/** RGB to WebP: libwebp compiled to WebAssembly, with a text in EXIF's user comment, where A1111 keeps its infotext. */
import libwebp from "@jsquash/webp/codec/enc/webp_enc_simd.js";
import { addAlpha, startCodec } from "./codec.ts";
import { commentBlock } from "./exif.ts";
import type { Picture } from "./picture.ts";
import { withExif } from "./webp_chunks.ts";

/** What is used of the codec. */
interface Codec {
  encode(rgba: Uint8Array, width: number, height: number, options: Record<string, unknown>): Uint8Array;
}

/** Where the encoder's WebAssembly lies. */
export const webpEncoderUrl: string = import.meta.resolve("@jsquash/webp/codec/enc/webp_enc_simd.wasm");

/** libwebp's own defaults. */
const codecOptions = {
  target_size: 0,
  target_PSNR: 0,
  method: 4,
  sns_strength: 50,
  filter_strength: 60,
  filter_sharpness: 0,
  filter_type: 1,
  partitions: 0,
  segments: 4,
  pass: 1,
  show_compressed: 0,
  preprocessing: 0,
  autofilter: 0,
  partition_limit: 0,
  alpha_compression: 1,
  alpha_filtering: 1,
  alpha_quality: 100,
  lossless: 0,
  exact: 0,
  image_hint: 0,
  emulate_jpeg_size: 0,
  thread_level: 0,
  low_memory: 0,
  near_lossless: 100,
  use_delta_palette: 0,
  use_sharp_yuv: 0,
};

/** The WebP of a picture at a quality of 1 to 100. */
export async function encodeWebp(
  { width, height, pixels }: Picture,
  { quality, comment, wasm }: { quality: number; comment: string; wasm: WebAssembly.Module },
): Promise<Uint8Array<ArrayBuffer>> {
  const codec = await startCodec<Codec>(libwebp, wasm);
  const file = codec.encode(addAlpha(pixels), width, height, { ...codecOptions, quality });
  return withExif(file, { width, height, exif: commentBlock(comment) });
}
