/** WebP to RGB and alpha: libwebp compiled to WebAssembly decodes, once the chunks were looked at here. */
import libwebp from "@jsquash/webp/codec/dec/webp_dec.js";
import { alphaOf, dropAlpha, type Rgba, startCodec } from "./codec.ts";
import type { PictureWithAlpha } from "./picture.ts";
import { damaged, readChunks } from "./webp_chunks.ts";

/** What is used of the codec: null or an exit where the file cannot be decoded. */
interface Codec {
  decode(file: Uint8Array): Rgba | null;
}

/** Where the decoder's WebAssembly lies. */
export const webpDecoderUrl: string = import.meta.resolve("@jsquash/webp/codec/dec/webp_dec.wasm");

/**
 * The picture of a still WebP file, not turned; `exif` is its EXIF block.
 *
 * @throws PictureError
 */
export async function decodeWebp(
  file: Uint8Array,
  wasm: WebAssembly.Module,
): Promise<PictureWithAlpha & { exif?: Uint8Array }> {
  const { width, height, hasAlpha, exif } = readChunks(file);
  const codec = await startCodec<Codec>(libwebp, wasm);
  let decoded: Rgba | null = null;
  try {
    decoded = codec.decode(file);
  } catch { // an exit of the codec's, like null
  }
  if (!decoded) throw damaged("its picture cannot be decoded");
  if (decoded.width !== width || decoded.height !== height) {
    throw damaged(`its header says ${width}×${height} pixels, its picture has ${decoded.width}×${decoded.height}`);
  }
  return { width, height, pixels: dropAlpha(decoded), ...(hasAlpha && { alpha: alphaOf(decoded) }), exif };
}
