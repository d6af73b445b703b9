/** Whole pipelines: the engine's own from prompt to PNG, fed with the reference's draws. */
import { join } from "node:path";
import { type Canvas, latentShape } from "../engine/canvas.ts";
import { type PromptPlan, tokensPlan } from "../engine/conditioning.ts";
import { channelsLast, type Pipeline, type PipelineInput } from "../engine/pipeline.ts";
import { cutMask, inpaintChannels, shrinkMask, spreadMask, toUnit } from "../engine/start.ts";
import { plainGuidance } from "../engine/tasks.ts";
import { decodePng } from "../image/png.ts";
import { encodePng } from "../png/encode.ts";
import { createTrajectory } from "../samplers/mod.ts";
import type { Prediction } from "../samplers/step.ts";
import { roundHalfEven } from "../samplers/schedule.ts";
import { elements } from "../tensor/shape.ts";
import { type ClipTokenizer, loadTokenizer } from "../tokenizer/clip.ts";
import type { Case } from "./cases.ts";
import { latentsTolerance, type Measure, NotHere, relRms, TOLERANCES } from "./compare.ts";
import { normal } from "./hash_weights.ts";
import type { LoadedModel } from "./models.ts";
import { exists, type Fixture, type Goldens, type PictureIndex, Tensors } from "./oracle.ts";
import { samplerOf } from "./trajectories.ts";

/** What a case may say. Of anything else this engine knows nothing, and says so. */
const KNOWN = new Set([
  ...["name", "model", "mode", "prompt", "negative", "steps", "size", "guidance", "images", "eta", "strength"],
  ...["scheduler", "scheduler_class", "scheduler_options", "karras", "source", "key", "tensors", "trace"],
  ...["latents", "image", "steps_latents", "noise_draws", "latent_std", "image_std", "image_clipped"],
  ...["torch_f16", "torch_error", "mask", "guidance_rescale", "clip_skip"],
]);

/** What makes ids of a case's prompts. */
export type TokenizerOf = (model: LoadedModel) => ClipTokenizer;

/**
 * The tokenizer of all pipelines of a folder: its own in `models/tokenizer`, with which the reference ran them whatever a
 * model pads with, or without one each model's.
 */
export function tokenizerOf({ root }: Goldens): TokenizerOf {
  const folder = join(root, "models", "tokenizer");
  let own: ClipTokenizer | undefined;
  return (model) => exists(join(folder, "vocab.json")) ? own ??= loadTokenizer(folder) : model.tokenizer;
}

/** Every picture; cases of one size follow each other, so that plans are made once. */
export function* pictureCases(goldens: Goldens): Generator<Case> {
  const tokenizer = tokenizerOf(goldens);
  const sizes = ({ index: { size, images = 1 } }: Fixture<PictureIndex>) => [...size, images].join();
  for (const fixture of goldens.pictures.toSorted((a, b) => sizes(a) < sizes(b) ? -1 : sizes(a) > sizes(b) ? 1 : 0)) {
    yield pictureCase(fixture, tokenizer);
  }
}

/** One picture's case. */
export function pictureCase(fixture: Fixture<PictureIndex>, tokenizer: TokenizerOf): Case {
  return {
    id: fixture.id,
    on: "model",
    model: fixture.index.model,
    async *compare(load) {
      checkSupported(fixture.index);
      using tensors = new Tensors(fixture);
      const model = load();
      yield* comparePicture(fixture, { tensors, model, tokenizer: tokenizer(model) });
    },
  };
}

/** Throws NotHere where a case asks for what this engine does not have. */
function checkSupported(index: PictureIndex): void {
  const { mode, scheduler_class, scheduler_options } = index;
  // The pipeline for consistency models is that of text to image.
  if (!["txt2img", "lcm", "img2img", "inpaint"].includes(mode)) throw new NotHere(`there is no mode ${mode}`);
  for (const [name, value] of Object.entries(index)) {
    if (!KNOWN.has(name) && value) throw new NotHere(`there is no option ${name}`);
  }
  if (!samplerOf(scheduler_class, scheduler_options)) throw new NotHere(`there is no sampler for ${scheduler_class}`);
}

/** Latents; the golden latents decoded; and the PNG of the latents that were made here. */
async function* comparePicture(
  { index, folder }: Fixture<PictureIndex>,
  { tensors, model, tokenizer }: { tensors: Tensors; model: LoadedModel; tokenizer: ClipTokenizer },
): AsyncGenerator<Measure> {
  const { precision } = model.backend, pipeline = model.pipeline();
  const input = await inputOf({ index, folder, tensors, tokenizer, pipeline });
  const canvas = await denoised(pipeline, input), plan = await canvas.preview("latents");

  const golden = channelsLast(tensors.floats(index.latents ?? "latents"), canvas.latentShape);
  const tolerance = latentsTolerance(index.name, precision);
  yield { group: "picture latents", error: relRms(await plan.read("latents"), golden), tolerance };

  const goldenLevels = levelsOf(index, folder, tensors), levels: Uint8Array[] = [];
  for (let i = 0; i < input.images; i++) levels.push(await pngOf(pipeline, canvas, i));
  const { mean, largest } = levelDifference(levels, goldenLevels);
  yield { group: "picture PNG, mean", error: mean, tolerance: TOLERANCES.pngMean[precision] };
  yield { group: "picture PNG, largest", error: largest, tolerance: TOLERANCES.pngLargest[precision] };

  plan.write("latents", golden);
  const { height, width } = canvas.size, images = tensors.floats(index.image ?? "image"), size = 3 * height * width;
  for (let i = 0; i < input.images; i++) {
    await pipeline.decode(canvas, i);
    const image = channelsLast(images.subarray(i * size, (i + 1) * size), [1, height, width, 3]);
    const error = relRms(await pipeline.decoded(canvas), image);
    yield { group: "picture decode", error, tolerance: TOLERANCES.vae[precision] };
  }
}

/** What the engine's pipeline is given for a case. Throws an UnsupportedScheduleError where it cannot be scheduled. */
async function inputOf(
  { index, folder, tensors, tokenizer, pipeline }: {
    index: PictureIndex;
    folder: string;
    tensors: Tensors;
    tokenizer: ClipTokenizer;
    pipeline: Pipeline;
  },
): Promise<PipelineInput> {
  const { scheduler_class, scheduler_options, steps, strength, eta, guidance, size: [height, width], key } = index;
  const isFromImage = index.mode === "img2img" || index.mode === "inpaint";
  const trajectory = createTrajectory(samplerOf(scheduler_class, scheduler_options)!, scheduler_options, {
    steps,
    eta,
    strength: isFromImage ? strength : undefined,
  });
  const prompts = [index.prompt].flat(), copies = index.images ?? 1, images = prompts.length * copies;
  const negatives = Array.isArray(index.negative) ? index.negative : prompts.map(() => index.negative ?? "");
  const tokens = (texts: readonly string[], skip = 0) =>
    texts.flatMap((text) => Array<PromptPlan>(copies).fill(tokensPlan(tokenizer.encode(text).ids, { skip })));
  const draw = elements(latentShape(pipeline.model, { images, height, width }));
  let draws = 0;
  const input: PipelineInput = {
    images,
    height,
    width,
    conditional: tokens(prompts, index.clip_skip),
    unconditional: tokens(negatives as string[]),
    guidanceScale: guidance,
    trajectory,
    prediction: scheduler_options.prediction_type as Prediction | undefined,
    guidance: { ...plainGuidance, rescale: index.guidance_rescale ?? 0 },
    initImage: index.mode === "img2img" ? readPng(join(folder, `${index.name}.input.png`), height, width) : undefined,
    noise() {
      const k = draws++;
      return tensors.has(`noise/${k}`) ? tensors.floats(`noise/${k}`) : normal(`${key}/noise/${k}`, draw);
    },
  };
  return index.mode === "inpaint" ? await inpainting(input, { index, folder, pipeline }) : input;
}

/**
 * Inpainting as diffusers has it: masks are cut at half and shrunk by nearest neighbours; a whole run begins with noise
 * alone; draws are the picture's posterior (not where a U-Net for inpainting runs whole), the start's, the masked picture's.
 */
async function inpainting(
  input: PipelineInput,
  { index, folder, pipeline }: { index: PictureIndex; folder: string; pipeline: Pipeline },
): Promise<PipelineInput> {
  const { height, width, trajectory, noise } = input,
    { unet, vae } = pipeline.model,
    shape = latentShape(pipeline.model, input);
  const pixels = readPng(join(folder, `${index.name}.input.png`), height, width);
  const levels = readPng(join(folder, `${index.name}.mask.png`), height, width).filter((_, i) => i % 3 === 0);
  const hidden = cutMask(levels), mask = shrinkMask(hidden, width, vae.scale), isWhole = index.strength === 1;
  const reads = unet.config.in_channels > shape[3];
  const initial = reads && isWhole ? undefined : await pipeline.encode(toUnit(pixels), input, noise("posterior"));
  const start = noise("start"), masked = noise("posterior");
  const extra = reads
    ? inpaintChannels(mask, await pipeline.encode(toUnit(pixels, hidden), input, masked), shape)
    : undefined;
  let first: Float32Array | undefined = start;
  return {
    ...input,
    trajectory: isWhole ? { ...trajectory, start: { signal: 0, noise: trajectory.initialScale } } : trajectory,
    initial,
    extra,
    inpaint: reads ? undefined : { mask: spreadMask(mask, shape), rule: "renoised" },
    noise(what) {
      const draw = first ?? noise(what);
      first = undefined;
      return draw;
    },
  };
}

async function denoised(pipeline: Pipeline, input: PipelineInput): Promise<Canvas> {
  const steps = pipeline.denoise(input);
  for (;;) {
    const next = await steps.next();
    if (next.done) return next.value;
  }
}

/** The levels of a decoded picture as its PNG says them: filtered, deflated and read again. */
async function pngOf(pipeline: Pipeline, canvas: Canvas, image: number): Promise<Uint8Array> {
  await pipeline.decode(canvas, image);
  const bands: Uint8Array[] = [];
  for await (const { bytes } of pipeline.scanlines(canvas)) bands.push(bytes);
  const pieces = await Array.fromAsync(encodePng(canvas.size, bands));
  return decodePng(new Uint8Array(await new Blob(pieces).arrayBuffer())).pixels;
}

/** The golden levels of every picture: its PNGs where they are stored, or else the raw picture's. */
function levelsOf(
  { name, size: [height, width], image }: PictureIndex,
  folder: string,
  tensors: Tensors,
): Uint8Array[] {
  const raw = tensors.floats(image ?? "image"), size = 3 * height * width, pictures = raw.length / size;
  return Array.from({ length: pictures }, (_, i) => {
    const path = join(folder, `${name}${pictures > 1 ? `.${i}` : ""}.png`);
    if (exists(path)) return readPng(path, height, width);
    const last = channelsLast(raw.subarray(i * size, (i + 1) * size), [1, height, width, 3]);
    return Uint8Array.from(last, (value) => roundHalfEven(Math.min(Math.max(value / 2 + 0.5, 0), 1) * 255));
  });
}

function readPng(path: string, height: number, width: number): Uint8Array {
  const picture = decodePng(Deno.readFileSync(path));
  if (picture.height === height && picture.width === width) return picture.pixels;
  throw new RangeError(
    `Cannot use ${path}: it has ${picture.width}×${picture.height} pixels, its case ${width}×${height}`,
  );
}

function levelDifference(found: Uint8Array[], golden: Uint8Array[]): { mean: number; largest: number } {
  let sum = 0, largest = 0, count = 0;
  for (const [picture, levels] of golden.entries()) {
    for (const [i, level] of levels.entries()) {
      const difference = Math.abs(found[picture][i] - level);
      sum += difference;
      largest = Math.max(largest, difference);
    }
    count += levels.length;
  }
  return { mean: sum / count, largest };
}
