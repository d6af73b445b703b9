import assert from "node:assert/strict";
import { decodeBase64, decodeHex } from "@std/encoding";
import { compileCodec } from "../../src/image/codec.ts";
import { readComment } from "../../src/image/comment.ts";
import { PictureError, PictureReader } from "../../src/image/read.ts";
import { decodeWebp, webpDecoderUrl } from "../../src/image/webp.ts";
import { readChunks } from "../../src/image/webp_chunks.ts";
import { encodeWebp, webpEncoderUrl } from "../../src/image/webp_encode.ts";
import reference from "./webp.json" with { type: "json" };

const [decoder, encoder] = await Promise.all([webpDecoderUrl, webpEncoderUrl].map(compileCodec));
const { width, height, cases } = reference;

const fileNamed = (name: string) => decodeBase64(cases.find((each) => each.name === name)!.file);

for (const { name, file, rgb, alpha } of cases.filter(({ name }) => name !== "moving")) {
  Deno.test(`decodeWebp() reads a picture that is ${name} as the reference does`, async () => {
    const picture = await decodeWebp(decodeBase64(file), decoder);
    assert.deepEqual([picture.width, picture.height], [width, height]);
    assert.deepEqual(picture.alpha, alpha === undefined ? undefined : decodeHex(alpha));
    assert.deepEqual(picture.pixels, decodeHex(rgb));
  });
}

Deno.test("read() turns a WebP as its EXIF asks", async () => {
  using reader = new PictureReader();
  const pixels = await reader.read(fileNamed("stored upside down"), { width, height });
  const stored = decodeHex(cases.find(({ name }) => name === "lossless")!.rgb);
  for (let i = 0; i < width * height; i++) {
    const from = 3 * (width * height - 1 - i);
    assert.deepEqual(pixels.subarray(3 * i, 3 * i + 3), stored.subarray(from, from + 3));
  }
});

Deno.test("a WebP that is cut anywhere, or has a byte turned over, is refused in a sentence or read whole", async () => {
  using reader = new PictureReader();
  const outcomeOf = (file: Uint8Array<ArrayBuffer>) => reader.read(file, { width, height }).catch((error) => error);
  for (const name of ["lossy with alpha", "lossless"]) {
    const file = fileNamed(name);
    for (let length = 0; length < file.length; length += 7) {
      const outcome = await outcomeOf(file.slice(0, length));
      assert.ok(outcome instanceof PictureError, `${name} of ${length} bytes`);
      assert.match(outcome.message, /^Cannot read the (picture|WebP): [^\n]+[^.\n]$/);
    }
    for (let at = 0; at < file.length; at += 5) {
      const turned = file.slice();
      turned[at] ^= 0xff;
      const outcome = await outcomeOf(turned);
      assert.ok(outcome instanceof PictureError || outcome.length === 3 * width * height, `${outcome}`);
    }
  }
});

Deno.test("a WebP is judged by the sizes in its headers before anything is decoded", async () => {
  const large = (offset: number, bytes: number[], name: string) => {
    const file = fileNamed(name);
    file.set(bytes, offset);
    return file;
  };
  const sizes: [file: Uint8Array, found: string][] = [
    [large(12 + 8 + 6, [0xff, 0x3f, 0xff, 0x3f], "lossy"), "16383×16383"],
    [large(12 + 8 + 1, [0xff, 0xff, 0xff, 0x0f], "lossless"), "16384×16384"],
    [large(12 + 8 + 4, [0xff, 0xff, 0xff, 0xff, 0xff, 0xff], "lossy with alpha"), "16777216×16777216"],
  ];
  for (const [file, found] of sizes) {
    const message = `Cannot read the WebP: it has ${found} pixels, up to 4096 a side would do`;
    assert.throws(() => readChunks(file), (error) => error instanceof PictureError && error.message === message);
  }
  await assert.rejects(
    decodeWebp(fileNamed("moving"), decoder),
    /^PictureError: Cannot read the WebP: it is an animation, a still picture would do$/,
  );
});

Deno.test("encodeWebp() writes a picture and a comment of any length that are read again", async () => {
  const pixels = decodeHex(cases[0].rgb);
  for (const [quality, most] of [[100, 4], [20, 20]]) {
    for (const comment of ["", "café 🐈\nSteps: 8", "a".repeat(100_001)]) {
      const file = await encodeWebp({ width, height, pixels }, { quality, comment, wasm: encoder });
      assert.equal(readComment(file), comment);
      const read = await decodeWebp(file, decoder);
      const difference = read.pixels.reduce((sum, value, i) => sum + Math.abs(value - pixels[i]), 0) / pixels.length;
      assert.ok(difference <= most, `${difference} at quality ${quality}`);
      assert.equal(read.alpha, undefined);
    }
  }
});
