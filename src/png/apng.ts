/** Moving PNGs (APNG, in the PNG specification's third edition): frames that may come one by one, their number known first. */
import { deflateSync } from "node:zlib";
import { chunk, concat, signature, textChunk } from "./chunk.ts";
import { headerChunk, type PngHeader } from "./encode.ts";

/** Writes the frames of one file in order; every one fills the whole picture. */
export class ApngWriter {
  readonly #header: PngHeader;
  /** Frame headers and frame data are numbered together. */
  #sequence = 0;
  #frames = 0;

  constructor(header: PngHeader) {
    this.#header = header;
  }

  /** What stands before the frames, of which there will be `frames`; shown once, so that the last one stays. */
  head(frames: number): Uint8Array<ArrayBuffer> {
    const { width, height, text = {} } = this.#header;
    const control = new DataView(new ArrayBuffer(8));
    control.setUint32(0, frames);
    control.setUint32(4, 1);
    const texts = Object.entries(text).map((entry) => textChunk(...entry));
    return concat([signature, headerChunk(width, height), chunk("acTL", new Uint8Array(control.buffer)), ...texts]);
  }

  /** A frame that is shown for `delayMs`; `data` are the parts of its zlib stream, as IDAT chunks hold them. */
  frame(data: readonly Uint8Array[], { delayMs }: { delayMs: number }): Uint8Array<ArrayBuffer> {
    const first = this.#frames++ === 0, head = this.#control(delayMs);
    const parts = data.map((part) =>
      first ? chunk("IDAT", part) : chunk("fdAT", concat([number(this.#sequence++), part]))
    );
    return concat([head, ...parts]);
  }

  /** What ends the file. */
  end(): Uint8Array<ArrayBuffer> {
    return chunk("IEND", new Uint8Array());
  }

  #control(delayMs: number): Uint8Array<ArrayBuffer> {
    const data = new DataView(new ArrayBuffer(26));
    data.setUint32(0, this.#sequence++);
    data.setUint32(4, this.#header.width);
    data.setUint32(8, this.#header.height);
    // At the corner; the delay is a fraction of seconds; the frame takes the place of what was there.
    data.setUint16(20, delayMs);
    data.setUint16(22, 1000);
    return chunk("fcTL", new Uint8Array(data.buffer));
  }
}

/**
 * The zlib stream of a small RGB picture, [height, width, 3], with every pixel drawn as a square of `scale` × `scale`: a
 * line as it is, then lines that are the same as the one above.
 */
export function enlarged(
  { width, height, pixels }: { width: number; height: number; pixels: Uint8Array },
  scale: number,
): Uint8Array {
  const line = 1 + 3 * width * scale;
  const rows = new Uint8Array(line * height * scale);
  for (let y = 0; y < height; y++) {
    const top = y * scale * line;
    for (let x = 0; x < width * scale; x++) {
      const from = (y * width + Math.floor(x / scale)) * 3;
      rows.set(pixels.subarray(from, from + 3), top + 1 + 3 * x);
    }
    for (let i = 1; i < scale; i++) rows[top + i * line] = 2; // filter Up, and no difference
  }
  return deflateSync(rows, { level: 3 });
}

/** What the chunks of one type hold, in a run of whole chunks. */
export function* chunksOf(bytes: Uint8Array, wanted: string): Generator<Uint8Array> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  for (let at = 0; at + 12 <= bytes.length; at += 12 + view.getUint32(at)) {
    const type = String.fromCharCode(...bytes.subarray(at + 4, at + 8));
    if (type === wanted) yield bytes.subarray(at + 8, at + 8 + view.getUint32(at));
  }
}

function number(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value);
  return bytes;
}
