import assert from "node:assert/strict";
import { decodeHex } from "@std/encoding";
import { fillMasked } from "../../src/image/fill.ts";
import { blur, doubled, expandRegion, invert, isEmpty, maskOf, regionOf, union } from "../../src/image/mask.ts";
import { paste } from "../../src/image/overlay.ts";
import type { Mask, Picture } from "../../src/image/picture.ts";
import { crop, cropMask, extend, fit, fitMask, resize } from "../../src/image/resize.ts";

interface Reference {
  width: number;
  height: number;
  rgb: string;
  luma: string;
  masks: Record<string, string>;
  blurred: { mask: string; sigma: number; hex: string }[];
  filled: { mask: string; hex: string }[];
  bicubic: { width: number; height: number; hex: string }[];
  nearest: { width: number; height: number; hex: string }[];
}

const reference: Reference = JSON.parse(await Deno.readTextFile(new URL("masking.json", import.meta.url)));
const { width, height } = reference;
const picture: Picture = { width, height, pixels: decodeHex(reference.rgb) as Uint8Array<ArrayBuffer> };
const masks = Object.fromEntries(
  Object.entries(reference.masks).map(([name, hex]): [string, Mask] => [name, { width, height, levels: bytes(hex) }]),
);

function bytes(hex: string): Uint8Array<ArrayBuffer> {
  return new Uint8Array(decodeHex(hex));
}

function largestDifference(a: Uint8Array, b: Uint8Array): number {
  assert.equal(a.length, b.length);
  return a.reduce((largest, value, i) => Math.max(largest, Math.abs(value - b[i])), 0);
}

/** A mask that is white in a rectangle. */
function box(size: { width: number; height: number }, [x, y, w, h]: number[]): Mask {
  const levels = new Uint8Array(size.width * size.height);
  for (let row = y; row < y + h; row++) levels.fill(255, row * size.width + x, row * size.width + x + w);
  return { ...size, levels };
}

Deno.test("maskOf() is Pillow's luma, or alpha cut at half where a pixel is not opaque", () => {
  assert.deepEqual(maskOf(picture).levels, bytes(reference.luma));
  const alpha = new Uint8Array(width * height).fill(255);
  assert.deepEqual(maskOf({ ...picture, alpha }).levels, bytes(reference.luma));
  alpha.set([0, 128, 129]);
  const levels = maskOf({ ...picture, alpha }).levels;
  assert.deepEqual([...levels.subarray(0, 4)], [0, 0, 255, 255]);
});

Deno.test("blur() is OpenCV's Gaussian as A1111 calls it, to the last bit", () => {
  for (const { mask, sigma, hex } of reference.blurred) {
    assert.equal(largestDifference(blur(masks[mask], sigma).levels, bytes(hex)), 0, `${mask}, sigma ${sigma}`);
  }
  assert.equal(blur(masks.box, 0), masks.box);
});

Deno.test("fillMasked() is A1111's fill with Pillow's blurs, to the last bit", () => {
  for (const { mask, hex } of reference.filled) {
    assert.equal(largestDifference(fillMasked(picture, masks[mask]).pixels, bytes(hex)), 0, mask);
  }
});

Deno.test("resize() is Pillow's bicubic and nearest too, to the last bit", () => {
  for (const method of ["bicubic", "nearest"] as const) {
    for (const { width, height, hex } of reference[method]) {
      const { pixels } = resize(picture, { width, height, method });
      assert.equal(largestDifference(pixels, bytes(hex)), 0, `${method} to ${width}×${height}`);
    }
  }
});

Deno.test("regionOf() holds the mask and its padding within the picture, and is undefined for an empty mask", () => {
  const size = { width: 40, height: 30 };
  assert.deepEqual(regionOf(box(size, [10, 12, 5, 3]), 0), { x: 10, y: 12, width: 5, height: 3 });
  assert.deepEqual(regionOf(box(size, [10, 12, 5, 3]), 4), { x: 6, y: 8, width: 13, height: 11 });
  assert.deepEqual(regionOf(box(size, [1, 0, 39, 2]), 32), { x: 0, y: 0, width: 40, height: 30 });
  assert.equal(regionOf(box(size, [0, 0, 0, 0]), 4), undefined);
});

Deno.test("expandRegion() takes the proportions it is made in and stays within the picture", () => {
  // A1111's own example: 128×32 for a square becomes 128×128.
  const square = { width: 512, height: 512 };
  assert.deepEqual(expandRegion({ x: 100, y: 200, width: 128, height: 32 }, square, square), {
    x: 100,
    y: 152,
    width: 128,
    height: 128,
  });
  assert.deepEqual(expandRegion({ x: 0, y: 490, width: 101, height: 20 }, square, square), {
    x: 0,
    y: 411,
    width: 101,
    height: 101,
  });
  assert.deepEqual(expandRegion({ x: 500, y: 0, width: 10, height: 300 }, { width: 768, height: 512 }, square), {
    x: 62,
    y: 0,
    width: 450,
    height: 300,
  });
  // Where the picture is too narrow, the region keeps to it.
  assert.deepEqual(expandRegion({ x: 5, y: 5, width: 300, height: 10 }, square, { width: 400, height: 100 }), {
    x: 5,
    y: 0,
    width: 300,
    height: 100,
  });
});

Deno.test("fit() crops the middle or repeats edges, and stretches nothing but by its name", () => {
  const grey = (x: number) => 5 * x;
  const ramp: Picture = { width: 40, height: 20, pixels: new Uint8Array(2400).map((_, i) => grey(i / 3 % 40 | 0)) };
  const cropped = fit(ramp, { width: 20, height: 20 }, "crop");
  assert.deepEqual(
    [...cropped.pixels.subarray(0, 60)].filter((_, i) => i % 3 === 0),
    [...Array(20)].map((_, i) => grey(10 + i)),
  );
  const filled = fit(ramp, { width: 40, height: 31 }, "fill");
  for (const row of [0, 4, 5, 24, 25, 30]) {
    assert.deepEqual(
      [...filled.pixels.subarray(row * 120, row * 120 + 120)].filter((_, i) => i % 3 === 0),
      [...Array(40)].map((_, i) => grey(i)),
    );
  }
  assert.equal(fit(ramp, { width: 8, height: 8 }, "stretch").pixels.length, 192);
  assert.equal(fitMask(masks.box, { width: 64, height: 8 }, "fill").levels.length, 512);
});

Deno.test("crop(), extend() and masks' parts are the pixels they should be", () => {
  const part = crop(picture, { x: 3, y: 4, width: 5, height: 6 });
  const at = (
    p: Picture,
    x: number,
    y: number,
  ) => [...p.pixels.subarray(3 * (y * p.width + x), 3 * (y * p.width + x) + 3)];
  assert.deepEqual(at(part, 2, 5), at(picture, 5, 9));
  assert.throws(() => crop(picture, { x: 33, y: 0, width: 5, height: 1 }), RangeError);
  const wide = extend(picture, { left: 10, top: 2 }, { width: width + 13, height: height + 4 });
  assert.deepEqual(at(wide, 0, 0), at(picture, 0, 0));
  assert.deepEqual(at(wide, 12, 5), at(picture, 2, 3));
  assert.deepEqual(at(wide, width + 12, height + 3), at(picture, width - 1, height - 1));
  assert.deepEqual([...cropMask(masks.box, { x: 8, y: 5, width: 2, height: 2 }).levels], [0, 0, 0, 255]);
});

Deno.test("masks turn round, double and join, and an empty one is known", () => {
  const soft: Mask = { width: 3, height: 1, levels: new Uint8Array([0, 100, 200]) };
  assert.deepEqual([...invert(soft).levels], [255, 155, 55]);
  assert.deepEqual([...doubled(soft).levels], [0, 200, 255]);
  assert.deepEqual([...union(soft, invert(soft)).levels], [255, 155, 200]);
  assert.equal(isEmpty(soft), false);
  assert.equal(isEmpty({ width: 2, height: 1, levels: new Uint8Array(2) }), true);
});

Deno.test("paste() changes no pixel outside of its mask, wherever what was made lies", () => {
  const made: Picture = { width: 16, height: 12, pixels: new Uint8Array(16 * 12 * 3).fill(77) };
  const region = { x: 9, y: 6, width: 16, height: 11 };
  const out = paste(made, { picture, mask: masks.box, region });
  for (let i = 0; i < width * height; i++) {
    const expected = masks.box.levels[i] ? [77, 77, 77] : [...picture.pixels.subarray(3 * i, 3 * i + 3)];
    assert.deepEqual([...out.pixels.subarray(3 * i, 3 * i + 3)], expected);
  }
  const halves = paste({ width, height, pixels: new Uint8Array(picture.pixels.length) }, { picture, mask: masks.half });
  assert.equal(halves.pixels[3 * 18], Math.round(picture.pixels[3 * 18] * (255 - masks.half.levels[18]) / 255));
});
