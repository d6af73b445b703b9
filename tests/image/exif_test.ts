import assert from "node:assert/strict";
import { orientationOf, turn } from "../../src/image/exif.ts";

/** A picture of grey letters: "ab/cd" is two rows of two pixels. */
function letters(text: string) {
  const rows = text.split("/");
  const pixels = Uint8Array.from([...rows.join("")].flatMap((letter) => Array(3).fill(letter.charCodeAt(0))));
  return { width: rows[0].length, height: rows.length, pixels };
}

const turned = ["abc/def", "cba/fed", "fed/cba", "def/abc", "ad/be/cf", "da/eb/fc", "fc/eb/da", "cf/be/ad"];
for (const [i, expected] of turned.entries()) {
  Deno.test(`turn() shows abc/def of orientation ${i + 1} as ${expected}`, () => {
    assert.deepEqual(turn(letters("abc/def"), i + 1), letters(expected));
  });
}

/** A TIFF block with a tag before the orientation. */
function tiff(orientation: number, little: boolean): Uint8Array {
  const view = new DataView(new ArrayBuffer(38));
  view.setUint16(0, little ? 0x4949 : 0x4d4d);
  view.setUint16(2, 42, little);
  view.setUint32(4, 8, little);
  view.setUint16(8, 2, little);
  view.setUint16(10, 0x010f, little);
  view.setUint16(22, 0x0112, little);
  view.setUint16(24, 3, little);
  view.setUint32(26, 1, little);
  view.setUint16(30, orientation, little);
  return new Uint8Array(view.buffer);
}

Deno.test("orientationOf() reads both byte orders", () => {
  for (const little of [true, false]) {
    for (let orientation = 1; orientation <= 8; orientation++) {
      assert.equal(orientationOf(tiff(orientation, little)), orientation);
    }
  }
});

Deno.test("orientationOf() is 1 where there is no EXIF, an impossible value or a block cut anywhere", () => {
  assert.equal(orientationOf(undefined), 1);
  assert.equal(orientationOf(tiff(0, true)), 1);
  assert.equal(orientationOf(tiff(9, false)), 1);
  for (let length = 0; length < 34; length++) assert.equal(orientationOf(tiff(6, true).subarray(0, length)), 1);
});
