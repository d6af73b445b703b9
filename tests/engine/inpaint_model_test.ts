import { deepStrictEqual, notDeepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { Engine } from "../../src/engine/engine.ts";
import type { Picture } from "../../src/image/picture.ts";
import { type Manifest, materialise } from "../../src/parity/materialise.ts";
import { largestDifference, make, rectangle } from "./make.ts";

const oracle = fileURLToPath(new URL("../oracle/", import.meta.url));
const folder = await Deno.makeTempDir();
const manifest: Manifest = JSON.parse(await Deno.readTextFile(`${oracle}manifests/tiny-sd15-inpaint.json`));
materialise(manifest, folder, { copiesFrom: `${oracle}models` });
const engine = await Engine.open({ model: `${folder}/tiny-sd15-inpaint`, precision: "f32", log: () => {} });
Deno.test.afterAll(async () => {
  engine[Symbol.dispose]();
  await Deno.remove(folder, { recursive: true });
});

const init: Picture = {
  width: 64,
  height: 64,
  pixels: new Uint8Array(64 * 64 * 3).map((_, i) => 128 + 100 * Math.sin(i / 50)),
};
const base = { prompt: "a cat", seed: 1, steps: 3, width: 64, height: 64, sampler: "Euler" };

Deno.test("a U-Net for inpainting makes pictures from a prompt and from a picture as well", async () => {
  const { pictures: [fromText] } = await make(engine, base);
  const { pictures: [fromPicture] } = await make(engine, { ...base, strength: 0.7 }, { init });
  deepStrictEqual([fromText.width, fromPicture.width], [64, 64]);
  notDeepStrictEqual(fromText.pixels, fromPicture.pixels);
  const { pictures: [large] } = await make(engine, { ...base, enable_hr: true, hr_scale: 1.5 });
  strictEqual(large.width, 96);
});

Deno.test("a U-Net for inpainting sees the mask and what it leaves, and the rest of the picture is kept", async () => {
  const fields = { ...base, strength: 1, mask_blur: 0 }, left = rectangle(init, { x: 0, y: 0, width: 32, height: 64 });
  const right = rectangle(init, { x: 32, y: 0, width: 32, height: 64 });
  const [one] = (await make(engine, fields, { init, mask: left })).pictures;
  strictEqual(largestDifference(one, init, (x) => x >= 32), 0);
  ok(largestDifference(one, init, (x) => x < 32) > 20);
  const [other] = (await make(engine, fields, { init, mask: right })).pictures;
  strictEqual(largestDifference(other, init, (x) => x < 32), 0);
  // What is hidden makes no difference.
  const hidden: Picture = {
    ...init,
    pixels: init.pixels.map((level, i) => Math.floor(i / 3) % 64 < 32 ? 255 - level : level),
  };
  const unseen = { ...fields, inpainting_fill: 3 };
  const [before] = (await make(engine, unseen, { init, mask: left })).pictures;
  const [after] = (await make(engine, unseen, { init: hidden, mask: left })).pictures;
  deepStrictEqual(before.pixels, after.pixels);
});
