import assert from "node:assert/strict";
import { decodeHex } from "@std/encoding";
import { resize } from "../../src/image/resize.ts";

interface Sized {
  width: number;
  height: number;
  hex: string;
}

const pillow: Sized & { cases: Sized[] } = JSON.parse(await Deno.readTextFile(new URL("resize.json", import.meta.url)));

for (const { width, height, hex } of pillow.cases) {
  Deno.test(`resize() of ${pillow.width}×${pillow.height} to ${width}×${height} is Pillow's Lanczos to the last bit`, () => {
    const resized = resize({ ...pillow, pixels: decodeHex(pillow.hex) }, { width, height });
    assert.deepEqual([resized.width, resized.height], [width, height]);
    assert.deepEqual(resized.pixels, decodeHex(hex));
  });
}

Deno.test("resize() leaves one colour that colour, whatever the sizes", () => {
  for (const [from, to] of [[100, 8], [8, 100], [33, 47]]) {
    const pixels = new Uint8Array(from * from * 3).fill(201);
    assert.ok(
      resize({ width: from, height: from, pixels }, { width: to, height: to }).pixels.every((value) => value === 201),
    );
  }
});
