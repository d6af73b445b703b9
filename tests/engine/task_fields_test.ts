import { deepStrictEqual, fail, match, ok, strictEqual } from "node:assert/strict";
import { ConflictError, parseRequest, RequestError } from "../../src/engine/request.ts";
import { info } from "../server/fake_engine.ts";

const file = new Uint8Array(1), picture = { init_image: file }, masked = { init_image: file, mask: file };
const parse = (fields: Record<string, unknown>) =>
  parseRequest(new Map(Object.entries({ prompt: "x", width: 128, height: 96, ...fields })), info);

/** The error of a request that has to be refused. */
function refusal(fields: Record<string, unknown>): RequestError {
  try {
    parse(fields);
  } catch (error) {
    if (error instanceof RequestError) return error;
    throw error;
  }
  fail(`${Object.keys(fields)} was accepted`);
}

const wrong: [Record<string, unknown>, field: string, message: RegExp][] = [
  [{ mask: file }, "mask", /^Field mask comes without init_image, both together would do$/],
  [{ outpaint_left: 8 }, "init_image", /^Fields outpaint_… come without init_image, both together would do$/],
  [
    { ...picture, width: 64, outpaint_left: 40, outpaint_right: 20 },
    "width",
    /^Field width is 64, of which outpainting leaves 4 pixels for init_image, 68 or more would do$/,
  ],
  [
    { ...masked, resize_mode: 3 },
    "resize_mode",
    /^Field resize_mode is 3 \(latent\), which a mask does not go with, 0/,
  ],
  [{ ...picture, strength: 0 }, "strength", /^Field strength is 0, a number above 0, up to 1 would do$/],
  [
    { ...picture, steps: 8, strength: 0.01 },
    "strength",
    /^Field strength is 0.01, which leaves none of 8 steps, 0.125 or more/,
  ],
  [{ ...picture, enable_hr: true }, "enable_hr", /^Field enable_hr does not go with init_image, one of them would do$/],
  [
    { enable_hr: true, steps: 8, strength: 0.05 },
    "strength",
    /^Field strength is 0.05, which leaves none of 8 steps, /,
  ],
  [
    { enable_hr: true, hr_resize_x: 64 },
    "hr_resize_x",
    /^Field hr_resize_x × hr_resize_y is 64×48, smaller than 128×96/,
  ],
  [{ enable_hr: true, hr_upscaler: "ESRGAN" }, "hr_upscaler", /^Field hr_upscaler is "ESRGAN", Latent or .* would do$/],
  [{ enable_hr: true, hr_scale: 0.5 }, "hr_scale", /^Field hr_scale is 0.5, a number from 1 to 8 would do$/],
  [{ hires: { denoise: 1 } }, "hires", /^Field hires has "denoise", scale or .* would do$/],
  [{ hires: 3 }, "hires", /^Field hires is 3, an object of scale, .* would do$/],
  [{ cfg_start: 0.7, cfg_end: 0.7 }, "cfg_start", /^Field cfg_start is 0.7 and cfg_end 0.7, a cfg_start below cfg_end/],
  [{ resize_mode: 4 }, "resize_mode", /^Field resize_mode is 4, 0 \(stretch\) or 1 \(crop\) or .* would do$/],
  [{ ...masked, inpainting_fill: "red" }, "inpainting_fill", /^Field inpainting_fill is "red", 0 \(fill\) or /],
  [{ ...masked, mask_blur: 65 }, "mask_blur", /^Field mask_blur is 65, a number from 0 to 64 would do$/],
  [{ tiling: "perhaps" }, "tiling", /^Field tiling is "perhaps", true or false would do$/],
  [
    { step_cache: 11 },
    "step_cache",
    /^Field step_cache is 11, a whole number from 1 to 10 would do$/,
  ],
  [
    { token_merging_ratio: 0.8 },
    "token_merging_ratio",
    /^Field token_merging_ratio is 0.8, a number from 0 to 0.75 would do$/,
  ],
  [{ n: 0 }, "n", /^Field n is 0, a whole number from 1 to 16 would do$/],
];

for (const [fields, name, message] of wrong) {
  Deno.test(`parseRequest() refuses ${JSON.stringify({ ...fields, init_image: undefined, mask: undefined })} for ${name}`, () => {
    const error = refusal(fields);
    strictEqual(error.field, name);
    match(error.message, message);
    ok(!error.message.includes("\n") && !error.message.endsWith("."));
  });
}

Deno.test("fields that do not go together are a conflict, values that are none are not", () => {
  ok(refusal({ mask: file }) instanceof ConflictError);
  ok(!(refusal({ n: 0 }) instanceof ConflictError));
});

Deno.test("a request that asks for nothing unusual says nothing of it", () => {
  const { request } = parse({
    n: 1,
    n_iter: 1,
    tiling: false,
    token_merging_ratio: 0,
    step_cache: 1,
    cfg_start: 0,
    cfg_end: 1,
    resize_mode: 0,
    mask_blur: 9,
  });
  const named = [
    "n",
    "iterations",
    "guidance",
    "hires",
    "inpaint",
    "outpaint",
    "tiling",
    "tokenMerging",
    "previews",
    "resizeMode",
  ];
  deepStrictEqual(named.filter((name) => name in request), []);
});

Deno.test("fields of hires come one by one or in an object, and its size by scale, by one side or by both", () => {
  const size = (fields: Record<string, unknown>) => {
    const { width, height } = parse(fields).request.hires!;
    return [width, height];
  };
  deepStrictEqual(size({ enable_hr: "1", hr_scale: "1.5" }), [192, 144]);
  deepStrictEqual(size({ hires: { scale: 1.5 } }), [192, 144]);
  deepStrictEqual(size({ enable_hr: 1, hr_scale: 1.3 }), [160, 120]); // 166.4 × 124.8
  deepStrictEqual(size({ hires: { width: 256 } }), [256, 192]);
  deepStrictEqual(size({ enable_hr: true, hr_resize_y: 192 }), [256, 192]);
  deepStrictEqual(size({ hires: { width: 128, height: 192 } }), [128, 192]);
  const { hires, strength } = parse({ hires: { strength: 0.4, steps: 5, sampler: "Euler a" } }).request;
  deepStrictEqual([hires!.strength, strength, hires!.steps, hires!.sampler, hires!.scheduler], [
    0.4,
    0.4,
    5,
    "euler_a",
    "automatic",
  ]);
  const own = parse({ enable_hr: true }).request;
  deepStrictEqual([own.hires!.sampler, own.hires!.scheduler, own.hires!.steps], [
    own.sampler,
    own.scheduler,
    own.steps,
  ]);
  strictEqual(parse({ hires: null }).request.hires, undefined);
});

Deno.test("a mask, or a canvas that grows, is inpainting with A1111's numbers for what it starts from", () => {
  const { request, maskFile } = parse({ ...masked, inpainting_fill: 2, inpaint_full_res: 1, soft_mask: "true" });
  strictEqual(maskFile, file);
  deepStrictEqual(request.inpaint, {
    blur: 4,
    invert: false,
    fill: "latent noise",
    onlyMasked: true,
    padding: 32,
    soft: true,
  });
  const grown = parse({ ...picture, outpaint_top: 16, inpainting_mask_invert: true }).request;
  deepStrictEqual(grown.outpaint, { left: 0, top: 16, right: 0, bottom: 0 });
  strictEqual(grown.inpaint!.invert, false, "there is no mask to invert");
});
