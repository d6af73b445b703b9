import { deepStrictEqual, match, ok, strictEqual, throws } from "node:assert/strict";
import { configs } from "../../src/cli/bench/sd15.ts";
import { sizeLimits, whyTooLarge } from "../../src/engine/limits.ts";
import { record } from "../../src/engine/canvas.ts";
import { Component } from "../../src/engine/component.ts";
import { type Backend, createBackend, StableDiffusion } from "../../src/engine/model.ts";
import { recordStep } from "../../src/engine/step_stages.ts";
import { tokensPlan } from "../../src/engine/conditioning.ts";
import { Verdicts } from "../../src/engine/verdicts.ts";
import type { TileSize } from "../../src/graph/graph.ts";
import { classChannels, classRows, sizeClass, tileSizes } from "../../src/ops/tiles.ts";
import { type Device, openDevice } from "../../src/gpu/device.ts";
import { CLIPTextModel, readTextConfig } from "../../src/models/clip/text_model.ts";
import { readUNetConfig } from "../../src/models/unet/config.ts";
import { UNet2DConditionModel } from "../../src/models/unet/unet.ts";
import { AutoencoderKL } from "../../src/models/vae/autoencoder.ts";
import { readVAEConfig } from "../../src/models/vae/config.ts";

const device = await openDevice();
Deno.test.afterAll(() => device[Symbol.dispose]());

/** Stable Diffusion 1.5 without weights: recording needs none. */
function stableDiffusion15(backend: Backend): StableDiffusion {
  const textEncoder = new CLIPTextModel(readTextConfig(configs.textEncoder));
  const unet = new UNet2DConditionModel(readUNetConfig(configs.unet));
  const vae = new AutoencoderKL(readVAEConfig(configs.vae));
  const open = (): never => {
    throw new Error("There are no weights");
  };
  return new StableDiffusion("sd15", backend, {
    textEncoder: new Component("text_encoder", { name: "text_encoder", backend, network: textEncoder, open }),
    unet: new Component("unet", { name: "unet", backend, network: unet, open }),
    vae: new Component("vae", { name: "vae", backend, network: vae, open }),
  });
}

for (const [kernels, subgroupSize] of [["subgroup", device.subgroupSize], ["workgroup", 0]] as const) {
  for (const precision of device.f16 ? ["f32", "f16"] as const : ["f32"] as const) {
    Deno.test(`the largest square is one that fits, and the next one does not: ${kernels} kernels, ${precision}`, () => {
      const backend = createBackend(device, precision);
      for (const target of [backend.target, backend.vaeTarget]) target.subgroupSize = subgroupSize;
      const model = stableDiffusion15(backend);
      const { maxPixels, maxSide, multiple } = sizeLimits(model), side = Math.sqrt(maxPixels);
      strictEqual(multiple, 8);
      ok(side >= 256 && side % 64 === 0 && side <= maxSide, `${side}`);
      for (let fits = 64; fits <= side; fits += 64) strictEqual(whyTooLarge(model, fits, fits), undefined);
      if (side < maxSide) ok(whyTooLarge(model, side + 64, side + 64));
    });
  }
}

/** The kernels of a step, each with what it is compiled for; undefined where values are too large to be whole. */
function kernelsOf(model: StableDiffusion, images: number, { side, halves }: { side: number; halves: 1 | 2 }) {
  const { dispatches } = record(model, recordStep(model, { images, height: side, width: side }, { halves }));
  const all = dispatches.flatMap((dispatch) => dispatch.expand?.(dispatch) ?? [dispatch]);
  if (all.some(({ kernel }) => kernel.name === "band_join")) return undefined;
  return [...new Set(all.map(({ kernel, constants }) => `${kernel.name} ${JSON.stringify(constants)}`))].toSorted();
}

/** Matmuls of each class with another tile than the next one's. */
function differentTiles(subgroupSize: number): Record<string, TileSize> {
  const sizes = tileSizes(subgroupSize);
  const classes = classChannels.flatMap((channels) => classRows.map((rows) => sizeClass(rows, channels / 4)));
  return Object.fromEntries(classes.map((name, i) => [name, sizes[i % sizes.length]]));
}

Deno.test("which kernels a step takes depends on nothing that is made with it, so that batches change no picture", () => {
  for (const precision of device.f16 ? ["f32", "f16"] as const : ["f32"] as const) {
    for (const [subgroupSize, isTuned] of [[device.subgroupSize, false], [16, true], [8, false], [0, true]] as const) {
      const tiles = isTuned ? differentTiles(subgroupSize) : undefined;
      const backend = createBackend(device, precision, { tiles }), model = stableDiffusion15(backend);
      backend.target.subgroupSize = subgroupSize;
      for (const side of [64, 128, 256, 512]) {
        for (const halves of [1, 2] as const) {
          const alone = kernelsOf(model, 1, { side, halves });
          for (const images of [2, 4, 8]) {
            const what = `subgroups of ${subgroupSize}, ${precision}, ${halves} halves of ${images} of ${side}x${side}`;
            const kernels = kernelsOf(model, images, { side, halves });
            if (images * side ** 2 >= 2 * 512 ** 2 && !kernels) continue;
            deepStrictEqual(kernels, alone, what);
          }
        }
      }
    }
  }
});

Deno.test("a size whose values are too large for the device's textures is refused before it starts", () => {
  if (device.weightStorage !== "texture") return;
  const limits = { ...limitsOf(device), maxTextureDimension2D: 256 }; // 4 MiB
  const low = Object.create(device, { gpu: { value: { limits } } });
  const why = whyTooLarge(stableDiffusion15(createBackend(low, "f32")), 512, 512);
  match(why ?? "", /would read \d+ bytes of a texture, 4194304 at most$/);
});

function limitsOf({ gpu: { limits } }: Device): Partial<Record<keyof GPUSupportedLimits, unknown>> {
  const names = ["maxStorageBufferBindingSize", "maxBufferSize"] as const;
  return Object.fromEntries(names.map((name) => [name, limits[name]]));
}

Deno.test("a size beyond the device says which kernel and how much of what", () => {
  const model = stableDiffusion15(createBackend(device, "f32"));
  match(whyTooLarge(model, 16384, 16384) ?? "", /^(\w+ would write \d+ bytes, \d+ at most|Cannot dispatch \w+)/);
  ok(whyTooLarge(model, 8, 1 << 20), "nor is a long thin picture let through");
});

Deno.test("merging tokens is refused where its kernels would loop beyond what the driver runs: narrow subgroups, large pictures", () => {
  const backend = createBackend(device, "f32"), plan = tokensPlan(new Uint32Array(77));
  backend.target.subgroupSize = 4;
  const verdicts = new Verdicts(stableDiffusion15(backend)), prompts = { conditional: plan, unconditional: plan };
  const check = (side: number, tokenMerging?: number) =>
    verdicts.checkSteps({ size: { height: side, width: side, tokenMerging }, prompts, cached: false });
  check(512, 0.5);
  check(2048);
  throws(() => check(2048, 0.5), {
    name: "RefusedError",
    field: "token_merging_ratio",
    message:
      /^Cannot merge tokens at 2048x2048: Cannot dispatch token_matches_shuffle: \d+ loop iterations in one invocation, 65535 at most, a token_merging_ratio of 0 would do$/,
  });
});
