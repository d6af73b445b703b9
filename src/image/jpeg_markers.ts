/** What a JPEG says before its first scan: its size, whether it can be read here, and its EXIF block. */
import { checkSize, PictureError } from "./picture.ts";

/**
 * Walks the markers up to the frame header (ITU T.81, annex B) as the codec does, skipping bytes between segments.
 *
 * @throws PictureError
 */
export function readMarkers(file: Uint8Array): { width: number; height: number; exif?: Uint8Array } {
  const view = new DataView(file.buffer, file.byteOffset, file.length);
  let exif: Uint8Array | undefined;
  for (let at = 2;;) {
    while (at < file.length && file[at] !== 0xff) at++;
    while (file[at] === 0xff) at++;
    const marker = file[at++];
    if (marker === 0 || marker === 1 || (marker >= 0xd0 && marker <= 0xd7)) continue; // no segment follows
    if (at + 2 > file.length || marker === 0xd9) throw damaged("it ends before its frame header");
    const length = view.getUint16(at);
    if (length < 2 || at + length > file.length) {
      throw damaged(`the segment at byte ${at - 2} says ${length} bytes, the file has ${file.length - at} left`);
    }
    const data = file.subarray(at + 2, at + length);
    if (marker === 0xe1 && String.fromCharCode(...data.subarray(0, 6)) === "Exif\0\0") exif ??= data.subarray(6);
    if (marker === 0xda) throw damaged("its first scan comes before its frame header");
    // SOF0 to SOF15; C4, C8 and CC are tables and an extension.
    if (marker >= 0xc0 && marker <= 0xcf && marker !== 0xc4 && marker !== 0xc8 && marker !== 0xcc) {
      return { ...readFrame(marker, data), exif };
    }
    at += length;
  }
}

function readFrame(marker: number, data: Uint8Array): { width: number; height: number } {
  if (data.length < 6) throw damaged("its frame header is too short");
  const view = new DataView(data.buffer, data.byteOffset, data.length);
  const [precision, components] = [data[0], data[5]];
  const [width, height] = [view.getUint16(3), view.getUint16(1)];
  checkSize("JPEG", width, height);
  if (marker > 0xc2) {
    throw unsupported(`its coding process SOF${marker - 0xc0} is rare; baseline and progressive would do`);
  }
  if (precision !== 8) throw unsupported(`it has ${precision} bits a sample, 8 would do`);
  if (components !== 1 && components !== 3) {
    throw unsupported(`it has ${components} components, 1 (grey) or 3 (colour) would do`);
  }
  return { width, height };
}

export function damaged(reason: string): PictureError {
  return new PictureError("damaged", `Cannot read the JPEG: ${reason}, an undamaged file would do`);
}

function unsupported(reason: string): PictureError {
  return new PictureError("unsupported", `Cannot read the JPEG: ${reason}`);
}
