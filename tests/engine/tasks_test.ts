import { deepStrictEqual, notDeepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { infotextFields } from "../../src/engine/infotext.ts";
import { eachPicture, isGuided, isPreviewed, outputSize, plainGuidance } from "../../src/engine/tasks.ts";
import type { Picture } from "../../src/image/picture.ts";
import { resize } from "../../src/image/resize.ts";
import { readTexts } from "../../src/png/texts.ts";
import { largestDifference, type Made, make, meanDifference, openTiny, rectangle } from "./make.ts";

const engine = await openTiny();
Deno.test.afterAll(() => engine[Symbol.dispose]());

const base = { prompt: "a red circle on a blue background", seed: 3, steps: 8, cfg_scale: 3 };
const { pictures: [plain] } = await make(engine, base);
const center = { x: 40, y: 40, width: 48, height: 48 };

/** Red, green and blue at the middle of a picture. */
function middle({ width, height, pixels }: Picture): number[] {
  return [...pixels.subarray(3 * ((height >> 1) * width + (width >> 1))).subarray(0, 3)];
}

Deno.test("inpainting makes what the prompt says within the mask, and keeps every pixel that the mask does not reach", async () => {
  const fields = { ...base, prompt: "a green square on a blue background", steps: 12, strength: 1 };
  const mask = rectangle(plain, center), made: Made[] = [];
  for (const inpainting_fill of [0, 1, 2, 3]) {
    const { pictures: [picture] } = await make(engine, { ...fields, mask_blur: 2, inpainting_fill }, {
      init: plain,
      mask,
    });
    // A blur of 2 reaches 5 pixels.
    const isKept = (x: number, y: number) => x < 35 || x >= 93 || y < 35 || y >= 93;
    strictEqual(largestDifference(picture, plain, isKept), 0, `fill ${inpainting_fill}`);
    ok(largestDifference(picture, plain, (x, y) => !isKept(x, y)) > 60, `fill ${inpainting_fill}`);
    made.push(picture);
  }
  // What began as noise or as nothing owes nothing to the red circle.
  for (const picture of made.slice(2)) {
    const [red, green] = middle(picture);
    ok(green > red, `the middle is ${middle(picture)}, and should be green`);
  }
  notDeepStrictEqual(made[0].pixels, made[1].pixels);
});

Deno.test("inpainting the masked part alone gives a picture as large as its own, unchanged where the mask is black", async () => {
  const init = resize(plain, { width: 150, height: 111 });
  const mask = rectangle(init, { x: 90, y: 20, width: 31, height: 29 });
  const fields = { ...base, prompt: "a yellow star on a blue background", strength: 1, mask_blur: 0 };
  const { pictures: [picture] } = await make(engine, { ...fields, inpaint_full_res: true, width: 64, height: 64 }, {
    init,
    mask,
  });
  deepStrictEqual([picture.width, picture.height], [150, 111]);
  const isMasked = (x: number, y: number) => x >= 90 && x < 121 && y >= 20 && y < 49;
  strictEqual(largestDifference(picture, init, (x, y) => !isMasked(x, y)), 0);
  ok(largestDifference(picture, init, isMasked) > 20);
});

Deno.test("an inverted mask keeps what was white, and a soft one mixes by its levels", async () => {
  const mask = rectangle(plain, center), fields = { ...base, seed: 9, steps: 4, strength: 1, mask_blur: 0 };
  const inverted = await make(engine, { ...fields, inpainting_mask_invert: true }, { init: plain, mask });
  const isWhite = (x: number, y: number) => x >= 40 && x < 88 && y >= 40 && y < 88;
  strictEqual(largestDifference(inverted.pictures[0], plain, isWhite), 0);
  ok(largestDifference(inverted.pictures[0], plain, (x, y) => !isWhite(x, y)) > 20);
  const grey: Picture = { ...mask, pixels: mask.pixels.map((level) => level && 110) };
  const [hard] = (await make(engine, fields, { init: plain, mask: grey })).pictures;
  const [soft] = (await make(engine, { ...fields, soft_mask: true }, { init: plain, mask: grey })).pictures;
  notDeepStrictEqual(hard.pixels, soft.pixels);
});

Deno.test("outpainting paints beside a picture and keeps all of it but its edge", async () => {
  const init = resize(plain, { width: 96, height: 128 });
  const fields = { ...base, outpaint_right: 32, inpainting_fill: 0, strength: 1, mask_blur: 1 };
  const { pictures: [picture] } = await make(engine, fields, { init });
  deepStrictEqual([picture.width, picture.height], [128, 128]);
  const framed: Picture = { width: 128, height: 128, pixels: new Uint8Array(128 * 128 * 3) };
  for (let y = 0; y < 128; y++) framed.pixels.set(init.pixels.subarray(3 * 96 * y, 3 * 96 * (y + 1)), 3 * 128 * y);
  // Two pixels overlap for a blur of 1, which reaches 3.
  strictEqual(largestDifference(picture, framed, (x) => x < 96 - 2 - 3), 0);
});

Deno.test("the second pass of hires keeps the composition of the first, by every way to enlarge", async () => {
  const small = { ...base, width: 64, height: 64 }, [first] = (await make(engine, small)).pictures;
  for (const hr_upscaler of ["Latent", "Latent (bicubic antialiased)", "Lanczos", "Nearest"]) {
    const fields = { ...small, enable_hr: true, hr_scale: 2, hr_upscaler, strength: 0.3, hr_second_pass_steps: 10 };
    const { pictures: [picture], steps } = await make(engine, fields);
    deepStrictEqual([picture.width, picture.height, steps], [128, 128, 8 + 3]);
    const difference = meanDifference(resize(picture, { width: 64, height: 64 }), first);
    ok(difference < 20, `${hr_upscaler}: ${difference.toFixed(1)} levels`);
  }
});

Deno.test("hires may take a sampler, a scheduler and a size of its own", async () => {
  const fields = { ...base, steps: 4, width: 64, height: 64, strength: 0.5, hires: { width: 96, sampler: "Euler a" } };
  const { pictures: [picture], steps } = await make(engine, fields);
  deepStrictEqual([picture.width, picture.height, steps], [96, 96, 4 + 2]);
});

Deno.test("a tiling picture has no seam where its edges meet, and another one has", async () => {
  const seams = async (tiling: boolean) => {
    const { pictures: [{ width, height, pixels }] } = await make(engine, {
      ...base,
      tiling,
      prompt: "a yellow star on a green background",
    });
    const level = (x: number, y: number, c: number) => pixels[3 * (y * width + x) + c];
    let across = 0, down = 0;
    for (let c = 0; c < 3; c++) {
      for (let y = 0; y < height; y++) across += Math.abs(level(0, y, c) - level(width - 1, y, c)) / height / 3;
      for (let x = 0; x < width; x++) down += Math.abs(level(x, 0, c) - level(x, height - 1, c)) / width / 3;
    }
    return Math.max(across, down);
  };
  const [joined, apart] = [await seams(true), await seams(false)];
  ok(joined < 1.5, `neighbours across the edge differ by ${joined.toFixed(2)} levels`);
  ok(apart > 3 * joined, `without tiling by ${apart.toFixed(2)}`);
});

Deno.test("merging no tokens changes no byte, and merging half of them makes nearly the same picture", async () => {
  const { pictures: [none] } = await make(engine, { ...base, token_merging_ratio: 0 });
  deepStrictEqual(none.png, plain.png);
  const { pictures: [half] } = await make(engine, { ...base, token_merging_ratio: 0.5 });
  notDeepStrictEqual(half.pixels, plain.pixels);
  const difference = meanDifference(half, plain);
  ok(difference < 12, `${difference.toFixed(1)} levels`);
  const { pictures: [again] } = await make(engine, { ...base, token_merging_ratio: 0.5 });
  deepStrictEqual(again.png, half.png);
});

Deno.test("a picture of a batch is the picture of its seed alone, byte for byte", async () => {
  const fields = { ...base, steps: 3, width: 64, height: 64, sampler: "Euler a" };
  const { pictures, steps } = await make(engine, { ...fields, n: 4, n_iter: 2 });
  deepStrictEqual(pictures.map(({ seed }) => seed), [3, 4, 5, 6, 7, 8, 9, 10]);
  strictEqual(steps, 2 * 3);
  for (const at of [0, 2, 5]) {
    const [alone] = (await make(engine, { ...fields, seed: 3 + at })).pictures;
    deepStrictEqual(pictures[at].png, alone.png);
  }
});

Deno.test("previews are small, evenly spread, no picture's bytes, and look like what comes out", async () => {
  const { previews, pictures: [picture] } = await make(engine, { ...base, previews: 3 });
  deepStrictEqual(picture.png, plain.png);
  deepStrictEqual(
    previews.map(({ step, width, height }) => [step, width, height]),
    [2, 4, 6].map((step) => [step, 16, 16]),
  );
  const { width, height, pixels } = previews[2], small = resize(plain, { width, height });
  const difference = meanDifference({ width, height, pixels }, small);
  ok(difference < 60, `the last one is off by ${difference.toFixed(1)} levels`);
});

Deno.test("previews are spread over both passes of every picture, and none is waited for beside its step", async () => {
  const small = { ...base, steps: 4, width: 64, height: 64, n: 2, enable_hr: true, hr_scale: 1.5, strength: 0.5 };
  let waits = 0;
  const counted = <Args extends unknown[], Result>(wait: (...args: Args) => Result) =>
    function (this: unknown, ...args: Args): Result {
      waits++;
      return wait.apply(this, args);
    };
  const [queue, buffer] = [GPUQueue.prototype, GPUBuffer.prototype],
    { onSubmittedWorkDone } = queue,
    { mapAsync } = buffer;
  const waited = async (fields: Record<string, unknown>) => {
    waits = 0;
    return { ...await make(engine, fields), waits };
  };
  try {
    queue.onSubmittedWorkDone = counted(onSubmittedWorkDone);
    buffer.mapAsync = counted(mapAsync);
    const without = await waited(small);
    ok(without.waits > 6, `${without.waits} waits`);
    for (const fields of [{}, { step_cache: 2 }, { token_merging_ratio: 0.5 }, { sampler: "dpmpp_2m_sde" }]) {
      const { previews, waits, steps } = await waited({ ...small, ...fields, previews: 2 });
      const bare = Object.keys(fields).length ? await waited({ ...small, ...fields }) : without;
      const due = Array.from({ length: steps }, (_, i) => i).filter((i) => isPreviewed(i, steps, 2));
      deepStrictEqual(
        previews.map(({ step, image, width }) => [step, image, width]),
        due.flatMap((i) => [0, 1].map((image) => [i + 1, image, i < steps - 2 ? 8 : 12])),
        JSON.stringify(fields),
      );
      strictEqual(waits, bare.waits, JSON.stringify(fields));
    }
  } finally {
    Object.assign(queue, { onSubmittedWorkDone });
    Object.assign(buffer, { mapAsync });
  }
});

Deno.test("guidance can be rescaled, held below a threshold, and left out of a part of the run", async () => {
  const fields = { ...base, steps: 6, cfg_scale: 12, width: 64, height: 64 };
  const [usual] = (await make(engine, fields)).pictures, seen = new Set<string>();
  for (
    const change of [{}, { guidance_rescale: 0.7 }, { dynamic_threshold: 1 }, { cfg_start: 0.5 }, { cfg_end: 0.5 }]
  ) {
    seen.add(`${(await make(engine, { ...fields, ...change })).pictures[0].pixels}`);
  }
  strictEqual(seen.size, 5);
  const [same] = (await make(engine, { ...fields, cfg_start: 0, cfg_end: 1, guidance_rescale: 0 })).pictures;
  deepStrictEqual(same.png, usual.png);
  // Guided nowhere but in steps that are not run with it, a picture is that of the prompt alone.
  const alone = (await make(engine, { ...fields, cfg_scale: 1 })).pictures[0];
  const late = (await make(engine, { ...fields, cfg_start: 0.99 })).pictures[0];
  ok(meanDifference(late, alone) < meanDifference(usual, alone));
});

Deno.test("a picture's infotext, read back with the same files, makes the same bytes", async () => {
  const mask = rectangle(plain, center), small = { ...base, steps: 3, width: 64, height: 64 };
  const files = { init: plain, mask };
  const cases: [Record<string, unknown>, { init?: Picture; mask?: Picture }][] = [
    [{ ...small, tiling: true, rng: "cpu", negative_prompt: "a, b: c" }, {}],
    [{ ...small, cfg_scale: 7.25, guidance_rescale: 0.5, cfg_start: 0.2, cfg_end: 0.7, sampler: "DDIM", eta: 0.5 }, {}],
    [{ ...small, token_merging_ratio: 0.5 }, {}],
    [{ ...small, dynamic_threshold: 1.5, dynamic_threshold_percentile: 0.9 }, {}],
    [
      { ...small, enable_hr: true, hr_scale: 1.7, hr_upscaler: "Lanczos", strength: 0.6, hr_sampler_name: "Euler a" },
      {},
    ],
    [{ ...small, strength: 0.7, resize_mode: 3 }, { init: plain }],
    [{ ...small, strength: 0.7, resize_mode: 1, width: 96 }, { init: plain }],
    [
      { ...small, strength: 0.8, mask_blur: 3, inpainting_fill: 2, inpainting_mask_invert: true, soft_mask: true },
      files,
    ],
    [{ ...small, inpaint_full_res: true, inpaint_full_res_padding: 8, inpainting_fill: 0 }, files],
    [{ ...small, width: 96, outpaint_left: 32, outpaint_top: 8 }, { init: plain }],
    [{ ...small, n: 2 }, {}],
  ];
  for (const [fields, given] of cases) {
    for (const { png } of (await make(engine, fields, given)).pictures) {
      const text = readTexts(png).parameters;
      const [again] = (await make(engine, infotextFields(text), given)).pictures;
      deepStrictEqual(again.png, png, text);
    }
  }
});

Deno.test("steps are guided within the interval, and previews never follow the last one", () => {
  const guided = (start: number, end: number) =>
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9].filter((i) => isGuided(i, 10, { ...plainGuidance, start, end }));
  deepStrictEqual(guided(0, 1).length, 10);
  deepStrictEqual(guided(0.25, 0.7), [2, 3, 4, 5, 6]);
  deepStrictEqual(guided(0.5, 0.51), [5]);
  const previewed = (steps: number, count: number) =>
    Array.from({ length: steps }, (_, i) => i).filter((i) => isPreviewed(i, steps, count));
  deepStrictEqual(previewed(8, 3), [1, 3, 5]);
  deepStrictEqual(previewed(20, 0), []);
  deepStrictEqual(previewed(4, 10), [0, 1, 2]);
  deepStrictEqual(previewed(1, 5), []);
});

Deno.test("each picture of a request has its own seed, and the size that comes out is the last pass's", () => {
  const request = { seed: 2 ** 32 - 2, n: 2, iterations: 2, width: 64, height: 48, prompt: "x" };
  deepStrictEqual(eachPicture(request).map(({ seed, n }) => [seed, n]), [
    [4294967294, undefined],
    [4294967295, undefined],
    [0, undefined],
    [1, undefined],
  ]);
  deepStrictEqual(outputSize(request), { width: 64, height: 48 });
});
