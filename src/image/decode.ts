/** Any picture file that is read here to RGB. */
import { orientationOf, turn } from "./exif.ts";
import { decodeJpeg } from "./jpeg.ts";
import { kindOf } from "./kind.ts";
import { PictureError, type PictureWithAlpha } from "./picture.ts";
import { decodePng } from "./png.ts";
import type { Codecs } from "./protocol.ts";
import { decodeWebp } from "./webp.ts";

/**
 * The picture of a PNG, JPEG or WebP file and its alpha channel, turned as its EXIF asks.
 *
 * @throws PictureError
 */
export async function decodePicture(file: Uint8Array, codecs: Codecs): Promise<PictureWithAlpha> {
  const format = kindOf(file);
  switch (format) {
    case "PNG": {
      const { exif, ...picture } = decodePng(file);
      return turn(picture, orientationOf(exif));
    }
    case "JPEG": {
      const { exif, ...picture } = await decodeJpeg(file, codecs.jpeg);
      return turn(picture, orientationOf(exif));
    }
    case "WebP": {
      const { exif, ...picture } = await decodeWebp(file, codecs.webp);
      return turn(picture, orientationOf(exif));
    }
    default: {
      const found = file.length === 0 ? "it is empty" : `it is ${format ?? `${file.length} bytes of no known format`}`;
      throw new PictureError("unsupported", `Cannot read the picture: ${found}, PNG, JPEG and WebP would do`);
    }
  }
}
