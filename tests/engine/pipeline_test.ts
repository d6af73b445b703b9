import { deepStrictEqual, ok, rejects, strictEqual, throws } from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { openFolder } from "../../src/checkpoint/folder.ts";
import { type PromptPlan, tokensPlan } from "../../src/engine/conditioning.ts";
import type { NoiseFor } from "../../src/engine/noise.ts";
import { createBackend, openStableDiffusion } from "../../src/engine/model.ts";
import { channelsLast, encodeRow, Pipeline, type PipelineInput } from "../../src/engine/pipeline.ts";
import { readBuffer } from "../../src/gpu/buffer.ts";
import { openDevice } from "../../src/gpu/device.ts";
import { placeHistory } from "../../src/samplers/history.ts";
import { createTrajectory, type SamplerName } from "../../src/samplers/mod.ts";
import { gaussian } from "../../src/tensor/random.ts";

const device = await openDevice();
const folder = openFolder(fileURLToPath(new URL("../../weights/tiny", import.meta.url)));
const model = openStableDiffusion(createBackend(device, "f32"), folder, { name: "tiny" });
const pipeline = new Pipeline(model);
Deno.test.afterAll(() => {
  for (const made of [pipeline, model, device]) made[Symbol.dispose]();
});

/** A prompt that is one token, of 77 ids. */
function tokens(token: number): PromptPlan {
  const ids = new Uint32Array(model.textEncoder.config.max_position_embeddings).fill(49407);
  ids.set([49406, token]);
  return tokensPlan(ids);
}

/** Noise of seeds one after another, drawn for all images at each call. */
function noiseOf(seeds: number[], height: number, width: number): () => Float32Array {
  const draws = seeds.map((seed) => gaussian({ seed, rng: "nv", shape: [4, height / 8, width / 8] }));
  return () => Float32Array.from(draws.flatMap((draw) => [...draw()]));
}

interface Asked {
  seeds: number[];
  prompts: number[];
  height?: number;
  width?: number;
  sampler?: SamplerName;
  steps?: number;
}

function input(
  { seeds, prompts, height = 64, width = 64, sampler = "euler", steps = 2 }: Asked,
): PipelineInput {
  return {
    images: seeds.length,
    height,
    width,
    guidanceScale: 3,
    conditional: prompts.map(tokens),
    unconditional: prompts.map(() => tokens(49407)),
    trajectory: createTrajectory(sampler, {}, { steps }),
    noise: noiseOf(seeds, height, width),
  };
}

/** All latents after the last step, and each image decoded. */
async function make(asked: Asked): Promise<{ latents: Float32Array; images: Float32Array[] }> {
  const steps = pipeline.denoise(input(asked));
  let next = await steps.next();
  while (!next.done) next = await steps.next();
  const canvas = next.value, images: Float32Array[] = [];
  const latents = new Float32Array(await readBuffer(device, canvas.latents, 0, canvas.latents.size));
  for (const i of asked.seeds.keys()) {
    await pipeline.decode(canvas, i);
    images.push(await pipeline.decoded(canvas));
  }
  return { latents, images };
}

/** ‖found - expected‖ / ‖expected‖. */
function relativeError(found: Float32Array, expected: Float32Array): number {
  strictEqual(found.length, expected.length);
  return Math.hypot(...found.map((value, i) => value - expected[i])) / Math.hypot(...expected);
}

for (const [height, width] of [[64, 64], [72, 104]]) {
  for (const sampler of ["euler", "euler_a", "dpmpp_2m"] as const) {
    Deno.test(`two images made together are the two made alone: ${width}×${height} pixels, ${sampler}`, async () => {
      const size = { height, width, sampler };
      const together = await make({ seeds: [5, 6], prompts: [320, 786], ...size });
      for (const [i, [seed, prompt]] of [[5, 320], [6, 786]].entries()) {
        const alone = await make({ seeds: [seed], prompts: [prompt], ...size });
        const latents = together.latents.subarray(i * alone.latents.length, (i + 1) * alone.latents.length);
        ok(relativeError(latents, alone.latents) < 1e-6);
        ok(relativeError(together.images[i], alone.images[0]) < 1e-6);
      }
      ok(relativeError(together.images[0], together.images[1]) > 0.01, "and they are not one picture twice");
    });
  }
}

Deno.test("scanlines come in bands of 64 rows whose bytes join without a gap, whatever the width", async () => {
  for (const [height, width] of [[64, 64], [72, 104], [136, 8]]) {
    await make({ seeds: [1], prompts: [320], height, width, steps: 1 });
    const canvas = pipeline.canvas({ images: 1, height, width });
    const whole = await readBuffer(device, (await canvas.decode()).buffer("scanlines"), 0, height * (1 + 3 * width));
    const joined: number[] = [];
    let rows = 0;
    for await (const band of pipeline.scanlines(canvas)) {
      deepStrictEqual([band.top, band.rows], [rows, Math.min(64, height - rows)]);
      rows += band.rows;
      joined.push(...band.bytes);
    }
    strictEqual(rows, height);
    deepStrictEqual(joined, [...new Uint8Array(whole)]);
  }
});

Deno.test("noise is drawn once for the start, and once more for each step that adds some", async () => {
  for (const [sampler, draws] of [["euler", 1], ["dpmpp_2m", 1], ["euler_a", 3]] as const) {
    let drawn = 0;
    const asked = input({ seeds: [1], prompts: [320], sampler, steps: 3 }), draw = asked.noise;
    const noise = (what: NoiseFor) => {
      drawn++;
      return draw(what);
    };
    for await (const _ of pipeline.denoise({ ...asked, noise })) { /* only the count matters */ }
    strictEqual(drawn, draws, sampler);
  }
});

Deno.test("what was made at another size, or left half way, changes nothing", async () => {
  const asked = { seeds: [3], prompts: [320] };
  const { images: [before] } = await make(asked);
  await make({ seeds: [4], prompts: [786], height: 72, width: 104, sampler: "euler_a" });
  const left = pipeline.denoise(input({ seeds: [4], prompts: [786], steps: 4 }));
  await left.next();
  await left.return(undefined as never);
  deepStrictEqual((await make(asked)).images[0], before);
});

Deno.test("the plans of two sizes are kept, those of the third least recently used are made anew", async () => {
  const size = (width: number) => pipeline.canvas({ images: 1, height: 16, width });
  const [first, second] = [size(16), size(24)];
  strictEqual(size(16), first);
  size(32); // 24 goes
  strictEqual(size(16), first);
  ok(size(24) !== second);
  pipeline.clear();
  strictEqual(pipeline.bytes, 0);
  await device.idle();
});

Deno.test("prompts are one a picture, and noise is as many normals as the latents have", async () => {
  const asked = input({ seeds: [1, 2], prompts: [320, 786] });
  await rejects(pipeline.denoise({ ...asked, conditional: [tokens(320)] }).next(), {
    message: "3 prompts for 4 places",
  });
  await rejects(pipeline.denoise({ ...asked, noise: () => new Float32Array(7) }).next(), {
    message: "7 normals drawn for [2,8,8,4]",
  });
});

Deno.test("channelsLast() turns torch's order of dimensions into ours", () => {
  // Two images of 1 × 3 pixels and two channels; numbers say image, channel, pixel.
  const torch = Float32Array.of(0, 1, 2, 10, 11, 12, 100, 101, 102, 110, 111, 112);
  deepStrictEqual(
    [...channelsLast(torch, [2, 1, 3, 2])],
    [0, 10, 1, 11, 2, 12, 100, 110, 101, 111, 102, 112],
  );
  throws(() => channelsLast(torch, [1, 1, 3, 2]), { message: "12 normals drawn for [1,1,3,2]" });
});

Deno.test("a row holds a step's numbers in the kernel's order, and zeros where a step leaves them out", () => {
  const level = { signal: 1, noise: 0 };
  const step = { timestep: 9, level, inputScale: 0.5, skip: 2, out: 3, x: 4, denoised: [5, 6], noise: 7 };
  const [place] = placeHistory([{ ...step, denoised: [5] }], 7);
  deepStrictEqual([...encodeRow(step, place, 8)], [0.5, 8, 2, 3, 0, 0, 4, 7, 0, -1, 5, 0, 0, 0, 0, 0, 0]);
  const full = { slot: 3, saveSlot: 2, weights: [1, 2, 3, 4, 5, 6, 7] };
  deepStrictEqual(
    [...encodeRow({ ...step, clip: 1, unclipped: 9 }, full, 1)],
    [0.5, 1, 2, 3, 1, 3, 4, 7, 9, 2, 1, 2, 3, 4, 5, 6, 7],
  );
});
