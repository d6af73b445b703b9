import assert from "node:assert/strict";
import { decode } from "fast-png";
import { encodePng } from "../../src/png/encode.ts";
import { concat } from "../../src/png/chunk.ts";
import { bandsOf, filterRows } from "./filter_rows.ts";

/** A gradient with some noise of its own, so that rows differ and compress only in part. */
function picture(width: number, height: number): Uint8Array<ArrayBuffer> {
  return Uint8Array.from({ length: width * height * 3 }, (_, i) => (i * 7 + ((i * i) >> 5)) & 0xff);
}

/** Every piece of the PNG of `picture(width, height)`, in bands of `rows`. */
function encode(width: number, height: number, rows: number, text?: Record<string, string>): Promise<Uint8Array[]> {
  return Array.fromAsync(
    encodePng({ width, height, text }, bandsOf(filterRows(picture(width, height), width), width, rows)),
  );
}

for (const [width, height, rows] of [[1, 1, 1], [8, 8, 3], [48, 40, 16], [129, 65, 64], [256, 256, 256]]) {
  Deno.test(`encodePng() gives back the pixels of ${width}×${height} in bands of ${rows}`, async () => {
    const png = decode(concat(await encode(width, height, rows)), { checkCrc: true });
    assert.deepEqual([png.width, png.height, png.channels, png.depth], [width, height, 3, 8]);
    assert.deepEqual(png.data, picture(width, height));
  });
}

Deno.test("encodePng() gives the same bytes for the same bands", async () => {
  assert.deepEqual(concat(await encode(48, 40, 7)), concat(await encode(48, 40, 7)));
});

Deno.test("encodePng() flushes each band: what has arrived inflates to exactly the rows sent so far", async () => {
  const scanlines = filterRows(picture(64, 64), 64);
  const pieces = encodePng({ width: 64, height: 64 }, bandsOf(scanlines, 64, 16));
  const received: Uint8Array[] = [];
  for (let band = 1; band <= 4; band++) {
    received.push((await pieces.next()).value!);
    const rows = await inflated(concat(received));
    assert.deepEqual(rows, scanlines.slice(0, band * 16 * (1 + 3 * 64)));
  }
});

Deno.test("encodePng() asks for a band only when the piece before it was taken", async () => {
  let asked = 0;
  const bands = bandsOf(filterRows(picture(8, 8), 8), 8, 2);
  const pieces = encodePng({ width: 8, height: 8 }, {
    *[Symbol.iterator]() {
      for (const band of bands) {
        asked++;
        yield band;
      }
    },
  });
  await pieces.next();
  assert.equal(asked, 1);
  await pieces.return();
});

Deno.test("encodePng() writes Latin-1 as tEXt, other text as iTXt, both before the pixels", async () => {
  for (const [text, type] of [["a café", "tEXt"], ["a 猫 🐈", "iTXt"]]) {
    const file = concat(await encode(8, 8, 8, { parameters: text }));
    const written = new TextDecoder("latin1").decode(file);
    assert.ok(written.indexOf(type) > 0 && written.indexOf(type) < written.indexOf("IDAT"), type);
    if (type === "tEXt") assert.equal(decode(file).text.parameters, text);
    else assert.ok(new TextDecoder().decode(file).includes(`parameters\0\0\0\0\0${text}`));
  }
});

Deno.test("encodePng() refuses a text with a NUL, too few rows and too many", async () => {
  await assert.rejects(encode(8, 8, 8, { parameters: "a\0b" }), /parameters: it holds a NUL/);
  const rows = filterRows(picture(8, 8), 8);
  const wrong = (bytes: Uint8Array) => Array.fromAsync(encodePng({ width: 8, height: 8 }, [bytes]));
  await assert.rejects(wrong(rows.slice(25)), /hold 175 bytes, 200 would do/);
  await assert.rejects(wrong(concat([rows, rows])), /hold 400 bytes, 200 would do/);
});

Deno.test({
  name: "pngcheck finds nothing wrong with a picture in bands with text",
  ignore: await found("pngcheck").then((there) => !there),
  fn: async () => {
    const file = await Deno.makeTempFile({ suffix: ".png" });
    await Deno.writeFile(file, concat(await encode(100, 70, 32, { parameters: "ein Löwe" })));
    const { success, stdout } = await new Deno.Command("pngcheck", { args: ["-v", file] }).output();
    await Deno.remove(file);
    assert.ok(success, new TextDecoder().decode(stdout));
  },
});

/** Whether a command can be started here. */
async function found(command: string): Promise<boolean> {
  try {
    await new Deno.Command(command, { stdin: "null", stdout: "null", stderr: "null" }).output();
    return true;
  } catch {
    return false;
  }
}

/** The bytes that a PNG's IDAT chunks inflate to, though the zlib stream has not ended. */
async function inflated(png: Uint8Array): Promise<Uint8Array> {
  const { inflateSync, constants } = await import("node:zlib");
  const view = new DataView(png.buffer, png.byteOffset, png.length);
  const parts: Uint8Array[] = [];
  for (let at = 8; at < png.length; at += 12 + view.getUint32(at)) {
    const type = new TextDecoder().decode(png.subarray(at + 4, at + 8));
    if (type === "IDAT") parts.push(png.subarray(at + 8, at + 8 + view.getUint32(at)));
  }
  return new Uint8Array(inflateSync(concat(parts), { finishFlush: constants.Z_SYNC_FLUSH }));
}
