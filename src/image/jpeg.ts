/** JPEG to RGB: mozjpeg compiled to WebAssembly decodes, once the markers before the first scan were looked at here. */
import mozjpeg from "@jsquash/jpeg/codec/dec/mozjpeg_dec.js";
import { dropAlpha, type Rgba, startCodec } from "./codec.ts";
import { damaged, readMarkers } from "./jpeg_markers.ts";
import type { Picture } from "./picture.ts";

/** What is used of the codec: null or an exit where the file cannot be decoded. */
interface Codec {
  decode(file: Uint8Array, turn: boolean): Rgba | null;
}

/** Where the decoder's WebAssembly lies. */
export const jpegDecoderUrl: string = import.meta.resolve("@jsquash/jpeg/codec/dec/mozjpeg_dec.wasm");

/**
 * The picture of a JPEG file, not turned; `exif` is its EXIF block.
 *
 * @throws PictureError
 */
export async function decodeJpeg(
  file: Uint8Array,
  wasm: WebAssembly.Module,
): Promise<Picture & { exif?: Uint8Array }> {
  const { width, height, exif } = readMarkers(file);
  const complaints: string[] = [];
  const codec = await startCodec<Codec>(mozjpeg, wasm, (message) => complaints.push(message));
  let decoded: ReturnType<Codec["decode"]> = null;
  try {
    decoded = codec.decode(file, false);
  } catch (cause) {
    complaints.push(cause instanceof Error ? cause.message : "the codec gave up");
  }
  // The codec fills what is missing of a cut file with grey and says so in passing.
  const cut = complaints.some((complaint) => complaint.includes("Premature end"));
  if (!decoded || cut) throw damaged(complaints[0] ?? "the codec gave no reason");
  if (decoded.width !== width || decoded.height !== height) {
    throw damaged(`its header says ${width}×${height} pixels, its scans have ${decoded.width}×${decoded.height}`);
  }
  return { width, height, pixels: dropAlpha(decoded), exif };
}
