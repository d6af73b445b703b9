/** Any picture file that is read here to RGB: the format is told by the first bytes, never by a name. */
import { orientationOf, turn } from "./exif.ts";
import { decodeJpeg } from "./jpeg.ts";
import { PictureError, type PictureWithAlpha } from "./picture.ts";
import { decodePng } from "./png.ts";

/** The first bytes of formats, as Latin-1. */
const magic: [format: string, start: RegExp][] = [
  ["PNG", new RegExp("^\x89PNG\r\n\x1a\n")],
  ["JPEG", /^\xff\xd8\xff/],
  ["GIF", /^GIF8[79]a/],
  ["BMP", /^BM/],
  ["WebP", /^RIFF[^]{4}WEBP/],
  ["AVIF or HEIC", /^[^]{4}ftyp/],
  ["TIFF", /^(II\*\0|MM\0\*)/],
  ["SVG or XML", /^\s*<(\?xml|svg)/],
  ["HTML", /^\s*<(!DOCTYPE|html)/i],
];

/**
 * The picture of a PNG or JPEG file and its alpha channel, turned as its EXIF asks.
 *
 * @param wasm the JPEG codec, from `codecUrl`
 * @throws PictureError
 */
export async function decodePicture(file: Uint8Array, wasm: WebAssembly.Module): Promise<PictureWithAlpha> {
  const start = String.fromCharCode(...file.subarray(0, 32));
  const format = magic.find(([, pattern]) => pattern.test(start))?.[0];
  switch (format) {
    case "PNG": {
      const { exif, ...picture } = decodePng(file);
      return turn(picture, orientationOf(exif));
    }
    case "JPEG": {
      const { exif, ...picture } = await decodeJpeg(file, wasm);
      return turn(picture, orientationOf(exif));
    }
    default: {
      const found = file.length === 0 ? "it is empty" : `it is ${format ?? `${file.length} bytes of no known format`}`;
      throw new PictureError("unsupported", `Cannot read the picture: ${found}, PNG and JPEG would do`);
    }
  }
}
