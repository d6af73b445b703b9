import assert from "node:assert/strict";
import { inflateSync } from "node:zlib";
import { decode, decodeApng } from "fast-png";
import { ApngWriter, chunksOf, enlarged } from "../../src/png/apng.ts";
import { concat } from "../../src/png/chunk.ts";
import { encodePng } from "../../src/png/encode.ts";
import { filterRows } from "./filter_rows.ts";

/** A picture of random pixels. */
function noise(width: number, height: number): Uint8Array {
  return crypto.getRandomValues(new Uint8Array(width * height * 3));
}

Deno.test("enlarged() draws every pixel as a square", async () => {
  const pixels = noise(3, 2);
  const rows = inflateSync(enlarged({ width: 3, height: 2, pixels }, 4));
  const png = decode(concat(await Array.fromAsync(encodePng({ width: 12, height: 8 }, [rows]))));
  for (let y = 0; y < 8; y++) {
    for (let x = 0; x < 12; x++) {
      const from = ((y >> 2) * 3 + (x >> 2)) * 3, at = (y * 12 + x) * 3;
      assert.deepEqual([...png.data.slice(at, at + 3)], [...pixels.slice(from, from + 3)], `${x}, ${y}`);
    }
  }
});

Deno.test("a file of two previews and a picture of several bands is read as three frames, the picture the last", async () => {
  const small = [noise(2, 2), noise(2, 2)], large = noise(16, 16);
  const rows = filterRows(large, 16), band = rows.length / 4;
  const bands = [0, 1, 2, 3].map((i) => rows.slice(i * band, (i + 1) * band));
  const picture = concat(await Array.fromAsync(encodePng({ width: 16, height: 16 }, bands)));
  const writer = new ApngWriter({ width: 16, height: 16, text: { parameters: "x" } });
  const file = concat([
    writer.head(3),
    ...small.map((pixels) => writer.frame([enlarged({ width: 2, height: 2, pixels }, 8)], { delayMs: 200 })),
    writer.frame([...chunksOf(picture.subarray(8), "IDAT")], { delayMs: 2000 }),
    writer.end(),
  ]);
  const { numberOfFrames, numberOfPlays, frames } = decodeApng(file, { checkCrc: true });
  assert.deepEqual([numberOfFrames, numberOfPlays, frames.length], [3, 1, 3]);
  assert.deepEqual(frames.map(({ delayNumber }) => delayNumber), [200, 200, 2000]);
  assert.deepEqual([...frames[2].data], [...large]);
  assert.deepEqual([...frames[1].data.slice(0, 3)], [...small[1].slice(0, 3)]);
  // Whoever knows no APNG sees the first frame.
  assert.deepEqual([...decode(file).data.slice(0, 3)], [...small[0].slice(0, 3)]);
  const numbers = [...sequenceNumbers(file)];
  assert.deepEqual(numbers, numbers.map((_, i) => i));
});

/** The numbers of frame headers and frame data, in the order of their chunks. */
function* sequenceNumbers(file: Uint8Array): Generator<number> {
  const view = new DataView(file.buffer, file.byteOffset);
  for (let at = 8; at < file.length; at += 12 + view.getUint32(at)) {
    const type = String.fromCharCode(...file.subarray(at + 4, at + 8));
    if (type === "fcTL" || type === "fdAT") yield view.getUint32(at + 8);
  }
}
