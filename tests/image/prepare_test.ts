import assert from "node:assert/strict";
import { type Picture, PictureError, type PictureWithAlpha } from "../../src/image/picture.ts";
import { type Preparation, prepare } from "../../src/image/prepare.ts";
import { paste } from "../../src/image/overlay.ts";

/** A picture no two pixels of which are alike. */
function picture(width: number, height: number): Picture {
  const pixels = new Uint8Array(width * height * 3);
  for (let i = 0; i < width * height; i++) pixels.set([i % 251, i % 241, i % 239], 3 * i);
  return { width, height, pixels };
}

/** A mask that is white from `x`, `y` on, `size` wide and high. */
function mask(width: number, height: number, { x, y, size }: { x: number; y: number; size: number }): PictureWithAlpha {
  const pixels = new Uint8Array(width * height * 3);
  for (let row = y; row < y + size; row++) {
    pixels.fill(255, 3 * (row * width + x), 3 * (row * width + x + size));
  }
  return { width, height, pixels };
}

const how: Preparation = { width: 32, height: 32, resizeMode: "stretch", multiple: 8 };
const inpaint = { blur: 0, invert: false, keepsOriginal: true };

Deno.test("prepare() of a picture alone fits it, or leaves it to the latents in multiples of eight", () => {
  const source = picture(43, 30);
  const { picture: made, ...rest } = prepare(source, undefined, how);
  assert.deepEqual([made.width, made.height, rest], [32, 32, {}]);
  const latent = prepare(source, undefined, { ...how, resizeMode: "latent" });
  assert.deepEqual([latent.picture.width, latent.picture.height], [40, 32]);
});

Deno.test("prepare() makes the masked part alone as large as it can, and paste() puts it back there and nowhere else", () => {
  const source = picture(64, 48), white = mask(64, 48, { x: 20, y: 10, size: 8 });
  const prepared = prepare(source, white, { ...how, inpaint: { ...inpaint, onlyMasked: { padding: 4 } } });
  assert.deepEqual(prepared.overlay?.region, { x: 16, y: 6, width: 16, height: 16 });
  assert.deepEqual([prepared.picture.width, prepared.mask?.width], [32, 32]);
  const black: Picture = { width: 32, height: 32, pixels: new Uint8Array(32 * 32 * 3) };
  const out = paste(black, prepared.overlay!);
  for (let y = 0; y < 48; y++) {
    for (let x = 0; x < 64; x++) {
      const i = 3 * (y * 64 + x), isMasked = x >= 20 && x < 28 && y >= 10 && y < 18;
      assert.deepEqual(
        [...out.pixels.subarray(i, i + 3)],
        isMasked ? [0, 0, 0] : [...source.pixels.subarray(i, i + 3)],
      );
    }
  }
});

Deno.test("prepare() repaints the rest of an inverted mask, and fills what is not kept as it was", () => {
  const source = picture(32, 32), white = mask(32, 32, { x: 8, y: 8, size: 16 });
  const kept = prepare(source, white, { ...how, inpaint: { ...inpaint, invert: true } });
  assert.deepEqual(kept.picture.pixels, source.pixels);
  assert.deepEqual([kept.mask?.levels[0], kept.mask?.levels[16 * 32 + 16]], [255, 0]);
  const filled = prepare(source, white, { ...how, inpaint: { ...inpaint, keepsOriginal: false } });
  assert.deepEqual(filled.picture.pixels.subarray(0, 96), source.pixels.subarray(0, 96), "outside of the mask");
  assert.notDeepEqual(filled.picture.pixels, source.pixels);
});

Deno.test("prepare() paints what lies around a smaller picture, and its edge as far as the mask is soft", () => {
  const source = picture(16, 32);
  const prepared = prepare(source, undefined, {
    ...how,
    inpaint: { ...inpaint, blur: 1 },
    outpaint: { left: 0, top: 0, right: 16, bottom: 0 },
  });
  const row = [...prepared.mask!.levels.subarray(16 * 32, 17 * 32)];
  assert.deepEqual([row[0], row[8], row[31]], [0, 0, 255], "kept at the left, painted at the right");
  assert.ok(row[14] > 100, "two pixels of the picture's own are masked for a blur of one");
  for (let y = 0; y < 32; y++) {
    const kept = prepared.picture.pixels.subarray(3 * y * 32, 3 * (y * 32 + 16));
    assert.deepEqual(kept, source.pixels.subarray(48 * y, 48 * (y + 1)));
    assert.deepEqual(
      prepared.picture.pixels.subarray(3 * (y * 32 + 31), 3 * (y * 32 + 32)),
      source.pixels.subarray(48 * y + 45, 48 * y + 48),
      "its edge goes on",
    );
  }
});

Deno.test("prepare() refuses a mask of another size and one that masks nothing", () => {
  const source = picture(32, 32);
  const refusal = (message: string) => (error: unknown) =>
    error instanceof PictureError && error.refusal === "unfit" && error.field === "mask" && error.message === message;
  assert.throws(
    () => prepare(source, mask(31, 32, { x: 1, y: 1, size: 4 }), { ...how, inpaint }),
    refusal("The mask has 31×32 pixels and init_image 32×32, one as large would do"),
  );
  assert.throws(
    () => prepare(source, mask(32, 32, { x: 0, y: 0, size: 0 }), { ...how, inpaint }),
    refusal("The mask is black everywhere, white where init_image is to be repainted would do"),
  );
  assert.throws(
    () => prepare(source, mask(32, 32, { x: 0, y: 0, size: 32 }), { ...how, inpaint: { ...inpaint, invert: true } }),
    refusal("The mask is white everywhere, black where init_image is to be repainted would do"),
  );
});
