import assert from "node:assert/strict";
import { deflateSync } from "node:zlib";
import { decode } from "fast-png";
import fc from "fast-check";
import { decodePng } from "../../src/image/png.ts";
import { PictureError } from "../../src/image/picture.ts";
import { chunk, concat, signature } from "../../src/png/chunk.ts";

const adam7 = [[0, 0, 8, 8], [4, 0, 8, 8], [0, 4, 4, 8], [2, 0, 4, 4], [0, 2, 2, 4], [1, 0, 2, 2], [0, 1, 1, 2]];

/** A PNG of one-channel samples, unfiltered, for the shapes that no library at hand writes. */
function write(samples: number[], { width, depth, colourType, interlaced = false, chunks = [] as Uint8Array[] }: {
  width: number;
  depth: number;
  colourType: number;
  interlaced?: boolean;
  chunks?: Uint8Array[];
}): Uint8Array<ArrayBuffer> {
  const height = samples.length / width;
  const lines: number[] = [];
  for (const [left, top, xStep, yStep] of interlaced ? adam7 : [[0, 0, 1, 1]]) {
    if (left >= width) continue;
    for (let y = top; y < height; y += yStep) {
      let bits = "";
      for (let x = left; x < width; x += xStep) bits += samples[y * width + x].toString(2).padStart(depth, "0");
      lines.push(0, ...bits.match(/.{1,8}/g)!.map((byte) => parseInt(byte.padEnd(8, "0"), 2)));
    }
  }
  const header = new DataView(new ArrayBuffer(13));
  header.setUint32(0, width);
  header.setUint32(4, height);
  header.setUint8(8, depth);
  header.setUint8(9, colourType);
  header.setUint8(12, Number(interlaced));
  const idat = chunk("IDAT", deflateSync(Uint8Array.from(lines)));
  const end = chunk("IEND", new Uint8Array());
  return concat([signature, chunk("IHDR", new Uint8Array(header.buffer)), ...chunks, idat, end]);
}

for (const depth of [1, 2, 4, 8]) {
  for (const interlaced of [false, true]) {
    Deno.test(`decodePng() reads ${depth}-bit grey and palette${interlaced ? ", interlaced" : ""}`, () => {
      const largest = (1 << depth) - 1;
      const colours = Uint8Array.from({ length: 3 * (largest + 1) }, (_, i) => (i * 91) & 0xff);
      for (const [width, height] of [[1, 1], [3, 2], [5, 9], [17, 11]]) {
        const samples = Array.from({ length: width * height }, (_, i) => (i * 7 + (i >> 2)) & largest);
        const grey = decodePng(write(samples, { width, depth, colourType: 0, interlaced }));
        assert.deepEqual([...grey.pixels], samples.flatMap((sample) => Array(3).fill(sample * 255 / largest)));
        const chunks = [chunk("PLTE", colours)];
        const indexed = decodePng(write(samples, { width, depth, colourType: 3, interlaced, chunks }));
        assert.deepEqual(
          [...indexed.pixels],
          samples.flatMap((sample) => [...colours.slice(3 * sample, 3 * sample + 3)]),
        );
      }
    });
  }
}

Deno.test("fast-png unpacks an interlaced picture of 1 bit wrongly, which is why it is not the reader here", () => {
  const samples = Array.from({ length: 17 * 11 }, (_, i) => (i * 7 + (i >> 2)) & 1);
  const file = write(samples, { width: 17, depth: 1, colourType: 0, interlaced: true });
  const attempt = () => [...decode(file).data].map((value) => value & 1);
  let pixels: number[] | undefined;
  try {
    pixels = attempt();
  } catch { /* refusing is as good as a wrong picture for this purpose */ }
  assert.notDeepEqual(pixels, samples);
});

const picture = await Deno.readFile(new URL("../oracle/bad/pictures/ok_all_filters.png", import.meta.url));

Deno.test("decodePng() gives what fast-png gives for a file with every filter", () => {
  assert.deepEqual(decodePng(picture).pixels, decode(picture).data);
});

Deno.test("decodePng() refuses or reads any damaged file, and fails in no other way", () => {
  const edits = fc.array(fc.tuple(fc.nat(picture.length - 1), fc.nat(255)), { minLength: 1, maxLength: 4 });
  fc.assert(
    fc.property(edits, fc.nat(picture.length), (changes, end) => {
      const file = picture.slice(0, end % 3 ? picture.length : end);
      for (const [at, value] of changes) if (at < file.length) file[at] = value;
      if (file.length < 8) return;
      try {
        decodePng(file);
      } catch (error) {
        assert.ok(error instanceof PictureError, String(error));
      }
    }),
    { numRuns: 500 },
  );
});

Deno.test("decodePng() stops inflating at the size that the header promises", () => {
  const bomb = deflateSync(new Uint8Array(200_000_000));
  const file = write([0], { width: 1, depth: 8, colourType: 0 });
  const header = file.subarray(0, 33);
  const started = performance.now();
  assert.throws(
    () => decodePng(concat([header, chunk("IDAT", bomb), chunk("IEND", new Uint8Array())])),
    /more than the 2 bytes that its header promises/,
  );
  assert.ok(performance.now() - started < 100);
});
