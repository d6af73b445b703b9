/** JPEG to RGB: mozjpeg compiled to WebAssembly decodes, once the markers before the first scan were looked at here. */
import mozjpeg from "@jsquash/jpeg/codec/dec/mozjpeg_dec.js";
import { checkSize, type Picture, PictureError } from "./picture.ts";

/** What is used of the codec; its own type names lean on a global that its package does not bring along. */
interface Codec {
  /** RGBA, [height, width, 4]; null or an exit where the file cannot be decoded. */
  decode(file: Uint8Array, turn: boolean): { width: number; height: number; data: Uint8ClampedArray } | null;
}
interface CodecOptions {
  noInitialRun: boolean;
  instantiateWasm(imports: WebAssembly.Imports, done: (instance: WebAssembly.Instance) => void): WebAssembly.Exports;
  printErr(message: string): void;
}
const createCodec = mozjpeg as unknown as (options: CodecOptions) => Promise<Codec>;

/** Where the codec's WebAssembly lies: read by whoever may read files. */
export const codecUrl: string = import.meta.resolve("@jsquash/jpeg/codec/dec/mozjpeg_dec.wasm");

/**
 * The picture of a JPEG file, not turned; `exif` is its EXIF block. Each call has a codec of its own, so that neither a
 * failure nor a large picture leaves memory behind.
 *
 * @throws PictureError
 */
export async function decodeJpeg(
  file: Uint8Array,
  wasm: WebAssembly.Module,
): Promise<Picture & { exif?: Uint8Array }> {
  const { width, height, exif } = readMarkers(file);
  const complaints: string[] = [];
  const codec = await createCodec({
    noInitialRun: true,
    instantiateWasm(imports, done) {
      const instance = new WebAssembly.Instance(wasm, imports);
      done(instance);
      return instance.exports;
    },
    printErr: (message) => complaints.push(message),
  });
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
  return { width, height, pixels: dropAlpha(decoded.data), exif };
}

/** Walks the markers up to the frame header (ITU T.81, annex B) as the codec does, skipping bytes between segments. */
function readMarkers(file: Uint8Array): { width: number; height: number; exif?: Uint8Array } {
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

function dropAlpha(rgba: Uint8ClampedArray): Uint8Array<ArrayBuffer> {
  const rgb = new Uint8Array(rgba.length / 4 * 3);
  for (let from = 0, to = 0; from < rgba.length; from += 4, to += 3) {
    rgb[to] = rgba[from];
    rgb[to + 1] = rgba[from + 1];
    rgb[to + 2] = rgba[from + 2];
  }
  return rgb;
}

function damaged(reason: string): PictureError {
  return new PictureError("damaged", `Cannot read the JPEG: ${reason}, an undamaged file would do`);
}

function unsupported(reason: string): PictureError {
  return new PictureError("unsupported", `Cannot read the JPEG: ${reason}`);
}
