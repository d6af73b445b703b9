/** A PNG written while its picture is still being read back: one flushed IDAT chunk for each band of rows. */
import { constants, createDeflate } from "node:zlib";
import { chunk, concat, signature, textChunk } from "./chunk.ts";

/** What stands before the pixels. `text` maps keywords to texts, written in order before the first IDAT. */
export interface PngHeader {
  width: number;
  height: number;
  text?: Record<string, string>;
}

/**
 * An 8-bit RGB PNG from bands of filtered scanlines, each scanline a filter-type byte and width × 3 filtered bytes.
 *
 * Yields one piece for each band, the first with the header in front, and a last one that ends the file. Every piece
 * is flushed: whoever has it can show its rows. The same bands give the same bytes.
 *
 * @throws RangeError when the bands do not add up to `height` whole scanlines.
 */
export async function* encodePng(
  { width, height, text = {} }: PngHeader,
  bands: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
): AsyncGenerator<Uint8Array<ArrayBuffer>, void> {
  const expected = height * (1 + 3 * width);
  let found = 0;
  let head = [pngHead({ width, height, text })];
  const deflate = new Deflate();
  try {
    for await (const band of bands) {
      found += band.length;
      if (found > expected) break;
      yield concat([...head, chunk("IDAT", await deflate.push(band))]);
      head = [];
    }
    if (found !== expected) {
      throw new RangeError(
        `Cannot encode a ${width}×${height} PNG: its rows hold ${found} bytes, ${expected} would do`,
      );
    }
    yield concat([chunk("IDAT", await deflate.finish()), chunk("IEND", new Uint8Array())]);
  } finally {
    deflate.close();
  }
}

/** What stands before the pixels: signature, IHDR and texts. */
export function pngHead({ width, height, text = {} }: PngHeader): Uint8Array<ArrayBuffer> {
  return concat([signature, headerChunk(width, height), ...Object.entries(text).map((entry) => textChunk(...entry))]);
}

/** The chunk IHDR of a picture of 8-bit RGB. */
export function headerChunk(width: number, height: number): Uint8Array<ArrayBuffer> {
  const data = new DataView(new ArrayBuffer(13));
  data.setUint32(0, width);
  data.setUint32(4, height);
  data.setUint8(8, 8); // bits a sample
  data.setUint8(9, 2); // RGB; deflate, adaptive filters and no interlacing are the zeros that follow
  return chunk("IHDR", new Uint8Array(data.buffer));
}

/** One zlib stream, flushed after each push. Level 3 with run lengths only: on filtered rows as small as level 4, and three times as fast. */
class Deflate {
  #stream = createDeflate({ level: 3, strategy: constants.Z_RLE, chunkSize: 1 << 16 });
  #pieces: Uint8Array[] = [];

  constructor() {
    this.#stream.on("data", (piece: Uint8Array) => this.#pieces.push(piece));
  }

  push(bytes: Uint8Array): Promise<Uint8Array> {
    return this.#collect((done) => {
      this.#stream.write(bytes);
      this.#stream.flush(constants.Z_SYNC_FLUSH, done);
    });
  }

  finish(): Promise<Uint8Array> {
    return this.#collect((done) => {
      this.#stream.once("end", done);
      this.#stream.end();
    });
  }

  close(): void {
    this.#stream.close();
  }

  async #collect(start: (done: () => void) => void): Promise<Uint8Array> {
    await new Promise<void>((resolve, reject) => {
      this.#stream.once("error", reject);
      start(() => {
        this.#stream.off("error", reject);
        resolve();
      });
    });
    return concat(this.#pieces.splice(0));
  }
}
