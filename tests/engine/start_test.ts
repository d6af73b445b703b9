import { deepStrictEqual, ok } from "node:assert/strict";
import { fitMatrix, knownMatrix, unpackPixels } from "../../src/engine/preview.ts";
import {
  cutMask,
  inpaintChannels,
  latentMask,
  mixNoise,
  refill,
  sampleMoments,
  shrinkMask,
  spreadMask,
  toUnit,
} from "../../src/engine/start.ts";
import { readVAEConfig } from "../../src/models/vae/config.ts";
import { filterRows } from "../../src/png/filter.ts";
import { gaussian } from "../../src/tensor/random.ts";
import * as plain from "../png/filter_rows.ts";

const round = (values: Float32Array) => [...values].map((value) => Math.round(value * 1e5) / 1e5 + 0);

Deno.test("sampleMoments() draws each image from the one distribution, clamped as the reference clamps it", () => {
  const moments = Float32Array.of(1, 2, Math.log(4), 100), shape = [2, 1, 1, 2] as const;
  const posterior = Float32Array.of(0.5, 1, -0.5, 0);
  const deviation = Math.exp(10);
  deepStrictEqual(
    round(sampleMoments(moments, shape, { scalingFactor: 0.5, posterior })),
    [
      1,
      Math.round(0.5 * (2 + deviation) * 1e5) / 1e5,
      0,
      1,
    ].map((value, i) => i === 1 ? Math.round(Math.fround(value) * 1e5) / 1e5 : value),
  );
  deepStrictEqual(round(sampleMoments(moments, shape, { scalingFactor: 0.5 })), [0.5, 1, 0.5, 1]);
});

Deno.test("mixNoise() and refill() are the sums that they say", () => {
  const clean = Float32Array.of(1, 2), normals = Float32Array.of(4, -4), mask = Float32Array.of(0, 1);
  deepStrictEqual([...mixNoise(clean, normals, { signal: 0.5, noise: 2 })], [8.5, -7]);
  deepStrictEqual([...mixNoise(undefined, normals, { signal: 0.5, noise: 2 })], [8, -8]);
  deepStrictEqual([...refill(clean, mask, normals, "latent noise")], [1, -4]);
  deepStrictEqual([...refill(clean, mask, normals, "latent nothing")], [1, 0]);
  deepStrictEqual(refill(clean, mask, normals, "fill"), clean);
});

Deno.test("masks come to the latents' size: cut at half as A1111 does, mixed where soft, and by nearest neighbours", () => {
  const picture = { width: 16, height: 8 }, levels = new Uint8Array(16 * 8).map((_, i) => i % 16 < 8 ? 100 : 200);
  const shape = [2, 1, 2, 3] as const;
  deepStrictEqual([...latentMask(levels, picture, shape, { soft: false })], [0, 0, 0, 1, 1, 1, 0, 0, 0, 1, 1, 1]);
  const soft = latentMask(levels, picture, shape, { soft: true });
  ok(soft[0] > 0.39 && soft[0] < 0.5 && soft[3] > 0.7 && soft[3] < 0.79, `${soft}`);
  const cut = cutMask(new Uint8Array([0, 127, 128, 255]));
  deepStrictEqual([...cut], [0, 0, 1, 1]);
  const checks = Float32Array.from({ length: 16 * 8 }, (_, i) => i);
  deepStrictEqual([...shrinkMask(checks, 16, 4)], [0, 4, 8, 12, 64, 68, 72, 76]);
  deepStrictEqual([...spreadMask(Float32Array.of(0, 1), [1, 1, 2, 2])], [0, 0, 1, 1]);
});

Deno.test("inpaintChannels() puts the mask in front of the masked picture's latents", () => {
  const masked = Float32Array.of(1, 2, 3, 4, 5, 6, 7, 8);
  deepStrictEqual([...inpaintChannels(Float32Array.of(0, 1), masked, [2, 1, 2, 2])], [
    0,
    1,
    2,
    1,
    3,
    4,
    0,
    5,
    6,
    1,
    7,
    8,
  ]);
});

Deno.test("toUnit() is −1 to 1, and 0 where a pixel is hidden", () => {
  deepStrictEqual([...toUnit(new Uint8Array([0, 255, 0, 255, 255, 255]), Float32Array.of(0, 1))], [-1, 1, -1, 0, 0, 0]);
});

Deno.test("fitMatrix() finds the matrix that pictures were made with", () => {
  const channels = 3,
    side = 4,
    scale = 2,
    matrix = [[0.5, -0.25, 0.125], [0, 0.75, -0.5], [-0.125, 0.25, 1], [0.1, 0.2, -0.3]];
  const latents = gaussian({ seed: 1, rng: "cpu", shape: [side ** 2, channels] })();
  const image = Float32Array.from({ length: (side * scale) ** 2 * 3 }, (_, i) => {
    const x = Math.floor(i / 3) % (side * scale), y = Math.floor(i / 3 / side / scale);
    const pixel = Math.floor(y / scale) * side + Math.floor(x / scale);
    // What varies within a latent pixel averages out.
    const ripple = (x % 2 ? 0.25 : -0.25) * (y % 2 ? 1 : -1);
    return matrix[3][i % 3] + ripple +
      [0, 1, 2].reduce((sum, c) => sum + latents[pixel * channels + c] * matrix[c][i % 3], 0);
  });
  const fitted = fitMatrix(latents, image, channels, scale);
  for (const [i, row] of matrix.entries()) {
    for (const [j, value] of row.entries()) ok(Math.abs(fitted[4 * i + j] - value) < 1e-4, `${fitted}`);
  }
});

Deno.test("the published matrix is for the VAE of Stable Diffusion's sizes alone", () => {
  const config = readVAEConfig({ block_out_channels: [128, 256, 512, 512] });
  deepStrictEqual(round(knownMatrix(config)!.subarray(0, 4)), [0.3512, 0.2297, 0.3227, 0]);
  deepStrictEqual(knownMatrix({ ...config, block_out_channels: [32, 64] }), undefined);
  deepStrictEqual(knownMatrix({ ...config, scaling_factor: 0.13025 }), undefined);
});

Deno.test("unpackPixels() leaves out what pads a row, and filterRows() is the plain row filter", () => {
  const words = Uint32Array.of(0x030201, 0x060504, 7, 7, 0x090807, 0x0c0b0a, 7, 7);
  deepStrictEqual([...unpackPixels(words, 2, 2)], [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
  const pixels = new Uint8Array(7 * 5 * 3).map((_, i) => i * i * 31);
  deepStrictEqual(filterRows(pixels, 7), plain.filterRows(pixels, 7));
});
