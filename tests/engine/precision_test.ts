import { ok, strictEqual, throws } from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { openModel } from "../../src/checkpoint/model.ts";
import type { ModelFolder } from "../../src/checkpoint/folder.ts";
import { createBackend, inPrecision, openStableDiffusion, usualPrecision } from "../../src/engine/model.ts";
import { openDevice } from "../../src/gpu/device.ts";

const device = await openDevice();
Deno.test.afterAll(() => device[Symbol.dispose]());

const tiny = openModel(fileURLToPath(new URL("../../weights/tiny", import.meta.url)));
/** A folder of which nothing but the U-Net's config is read. */
const sd15 = {
  component: () => ({
    config: {
      block_out_channels: [320, 640, 1280, 1280],
      down_block_types: ["CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"],
      up_block_types: ["UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"],
      cross_attention_dim: 768,
      attention_head_dim: 8,
    },
  }),
} as unknown as ModelFolder;

/** The device, as it would be with other abilities. */
const able = (f16: boolean, software: boolean) =>
  Object.create(device, { f16: { value: f16 }, software: { value: software } });

Deno.test("a model is stored in f16 where the adapter has it, but for a small one on a software adapter", () => {
  for (const folder of [tiny, sd15]) {
    strictEqual(usualPrecision(able(false, true), folder), "f32");
    strictEqual(usualPrecision(able(false, false), folder), "f32");
    strictEqual(usualPrecision(able(true, false), folder), "f16");
  }
  strictEqual(usualPrecision(able(true, true), sd15), "f16");
  strictEqual(usualPrecision(able(true, true), tiny), "f32");
});

Deno.test("models of two precisions share a device and its account", () => {
  const single = createBackend(device, "f32", { budget: 2 ** 30 });
  if (!device.f16) return throws(() => inPrecision(single, "f16"), /no shader-f16, precision f32 would do$/);
  const half = inPrecision(single, "f16");
  strictEqual(half.residency, single.residency);
  using large = openStableDiffusion(single, tiny, { name: "large" });
  using small = openStableDiffusion(half, tiny, { name: "small" });
  ok(small.components.unet.size < 0.6 * large.components.unet.size, "halves of the same weights");
});
