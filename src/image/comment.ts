/** The text that a JPEG or WebP carries in its EXIF, where A1111 and its clients look for an infotext. */
import { commentOf } from "./exif.ts";
import { readMarkers } from "./jpeg_markers.ts";
import { kindOf } from "./kind.ts";
import { PictureError } from "./picture.ts";
import { readChunks } from "./webp_chunks.ts";

/** EXIF's user comment; undefined where a file has none, is of another format, or damaged. */
export function readComment(file: Uint8Array): string | undefined {
  try {
    switch (kindOf(file)) {
      case "JPEG":
        return commentOf(readMarkers(file).exif);
      case "WebP":
        return commentOf(readChunks(file).exif);
    }
  } catch (error) {
    if (!(error instanceof PictureError)) throw error;
  }
}
