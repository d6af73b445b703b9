/** How a request's pictures are made: which passes over which latents, one batch of pictures after the other. */
import { paste } from "../image/overlay.ts";
import { resize } from "../image/resize.ts";
import type { Picture } from "../image/picture.ts";
import { filterRows } from "../png/filter.ts";
import { latentShape } from "./canvas.ts";
import type { Canvas, CanvasSize } from "./canvas.ts";
import { turn } from "./turn.ts";
import { channelsLast, type Pipeline, type PipelineInput, type Preview, type StepEvent } from "./pipeline.ts";
import type { StageTime } from "./protocol.ts";
import type { Noise } from "./noise.ts";
import { cutMask, inpaintChannels, latentMask, refill, shrinkMask, toUnit } from "./start.ts";
import type { GenerateRequest } from "./request.ts";
import { isPreviewed, outputSize, plainGuidance, upscalers } from "./tasks.ts";
import type { Trajectory } from "../samplers/step.ts";
import { joined } from "../tensor/join.ts";

/** What the passes over a batch share. */
export interface Making {
  pipeline: Pipeline;
  /** Its size, and all else that its pictures have in common. */
  request: GenerateRequest;
  /** Fires once nobody wants any of its pictures. */
  signal: AbortSignal;
  /** What is asked for and wanted of each picture. */
  pictures: readonly BatchPicture[];
  /** The pictures as the pipeline is told of them, beside what is particular to a pass. */
  common: Pick<PipelineInput, "conditional" | "unconditional" | "guidanceScale" | "prediction">;
  /** The prompts of the second pass, where there is one. */
  again?: Pick<PipelineInput, "conditional" | "unconditional">;
  /** The schedule of the first pass, and of the second where there is one. */
  trajectories: readonly Trajectory[];
  /** Draws of standard normals for the pictures of a size, from its start on. */
  noise(size: CanvasSize, trajectory: Trajectory): Noise;
}

/** One picture of a batch. */
export interface BatchPicture {
  /** How many views of it there are on the way. */
  previews: number;
  /** Whether somebody still waits for it. */
  isWanted: () => boolean;
}

/** What happens to a batch; `image` is a picture's place in it, absent of a stage that is for all of them. */
export type BatchEvent =
  /** `step` counts those of all passes. */
  | { type: "step"; step: number; ms: number }
  | { type: "preview"; image: number; step: number } & Preview
  | { type: "stage"; image?: number } & StageTime
  | { type: "rows"; image: number; top: number; rows: number; bytes: Uint8Array<ArrayBuffer> }
  /** All of a picture, its stages as well, has been told. */
  | { type: "made"; image: number };

/** Steps of all passes over one batch. */
export function stepsOf(trajectories: readonly Trajectory[]): number {
  return trajectories.reduce((sum, { steps }) => sum + steps.length, 0);
}

/** Makes one batch: `step`s, then picture by picture its `rows` and that it is `made`. Ends early once the signal is aborted. */
export async function* makeBatch(making: Making): AsyncGenerator<BatchEvent> {
  const { pipeline, request, signal, pictures, trajectories } = making, { hires } = request;
  const steps = stepsOf(trajectories),
    isDue = (step: number) => (picture: BatchPicture) => isPreviewed(step, steps, picture.previews);
  let done = 0;
  /** Which steps of a pass that begins after so many have previews. */
  const previewed = (before: number) =>
    pictures.some(({ previews }) => previews > 0) ? (step: number) => pictures.some(isDue(before + step)) : undefined;
  /** What is awaited, or undefined where the signal ended it. */
  const unlessCancelled = <Result>(awaited: Promise<Result>) =>
    awaited.catch((error) => {
      if (signal.aborted && error === signal.reason) return undefined;
      throw error;
    });
  const tell = async function* (
    pass: AsyncGenerator<StepEvent, Canvas>,
  ): AsyncGenerator<BatchEvent, Canvas | undefined> {
    let next = await unlessCancelled(pass.next());
    for (; next && !next.done; next = await unlessCancelled(pass.next())) {
      const { previews = [], ms } = next.value;
      yield { type: "step", step: ++done, ms };
      for (const [image, preview] of previews.entries()) {
        if (isDue(done - 1)(pictures[image])) yield { type: "preview", image, step: done, ...preview };
      }
      await turn();
      if (signal.aborted) return undefined;
    }
    if (!next) return undefined;
    yield* stagesOf(pipeline);
    return next.value;
  };
  let canvas = yield* tell(pipeline.denoise({ ...await firstPass(making), isPreviewed: previewed(0) }));
  if (!canvas) return;
  if (hires) {
    const input = await secondPass(making, canvas, trajectories[1]);
    canvas = yield* tell(pipeline.denoise({ ...input, isPreviewed: previewed(trajectories[0].steps.length) }));
    if (!canvas) return;
  }
  for (const [image, { isWanted }] of pictures.entries()) {
    if (isWanted()) yield* tellPicture(making, canvas, image);
  }
}

/** Decodes one picture and tells it, as long as it is wanted. */
async function* tellPicture(
  { pipeline, request, pictures }: Making,
  canvas: Canvas,
  image: number,
): AsyncGenerator<BatchEvent> {
  const { isWanted } = pictures[image];
  await pipeline.decode(canvas, image);
  yield* stagesOf(pipeline, image);
  const end = pipeline.stages.begin("rows");
  for await (const band of rowsOf(pipeline, canvas, request)) {
    yield { type: "rows", image, ...band };
    await turn();
    if (!isWanted()) break;
  }
  end();
  yield* stagesOf(pipeline, image);
  if (isWanted()) yield { type: "made", image };
}

/** The stages that are over and have not been told of. */
async function* stagesOf({ stages }: Pipeline, image?: number): AsyncGenerator<BatchEvent> {
  for (const time of await stages.take()) yield { type: "stage", image, ...time };
}

async function firstPass(making: Making): Promise<PipelineInput> {
  const { pipeline, request, common, pictures: { length: images }, trajectories: [trajectory] } = making;
  const { width, height, tiling, tokenMerging } = request;
  const size: CanvasSize = { images, width, height, tiling, tokenMerging }, noise = making.noise(size, trajectory);
  const { guidance = plainGuidance, stepCache } = request, { signal } = making;
  const input: PipelineInput = { ...common, ...size, trajectory, guidance, stepCache, noise, signal };
  const { initImage, initSize, mask, inpaint } = request, { unet, vae } = pipeline.model;
  const shape = latentShape(pipeline.model, size), reads = unet.config.in_channels > shape[3];
  if (initSize && initImage) {
    // A1111's latent mode: what the VAE makes of the picture in its own size is resized.
    const own = await pipeline.encode(toUnit(initImage), { images, ...initSize, tiling });
    const from = [initSize.height / vae.scale, initSize.width / vae.scale] as const;
    input.initial = await pipeline.resize(own, from, size, "bilinear");
  } else if (initImage && !mask) input.initImage = initImage;
  if (initImage && mask && inpaint) {
    const clean = await pipeline.encode(toUnit(initImage), size, noise("posterior"));
    const repainted = latentMask(mask, request, shape, inpaint);
    const refilled = inpaint.fill === "latent noise" || inpaint.fill === "latent nothing";
    const normals = refilled ? channelsOfStart(making, size, shape) : clean;
    input.initial = refill(clean, repainted, normals, inpaint.fill);
    input.inpaint = { mask: repainted, rule: "denoised" };
  }
  if (reads) {
    // Without a mask all is repainted, and nothing known.
    const hidden = mask ? cutMask(mask) : new Float32Array(width * height).fill(1);
    const seen = toUnit(initImage && !initSize ? initImage : new Uint8Array(3 * width * height), hidden);
    const masked = await pipeline.encode(seen, size);
    input.extra = inpaintChannels(shrinkMask(hidden, width, vae.scale), masked, shape);
  }
  return input;
}

/** The noise that a pass of this size starts from, as the first draw of generators of its own. */
function channelsOfStart(making: Making, size: CanvasSize, shape: readonly [number, number, number, number]) {
  return channelsLast(making.noise(size, making.trajectories[0])("start"), shape);
}

/** A second pass over what the first one made, enlarged: by its latents, or decoded, resized and encoded. */
async function secondPass(making: Making, canvas: Canvas, trajectory: Trajectory): Promise<PipelineInput> {
  const { pipeline, request, common, again } = making,
    { width, height, upscaler } = request.hires!,
    { images } = canvas.size;
  const { tiling, tokenMerging } = request, how = upscalers[upscaler];
  const size: CanvasSize = { images, width, height, tiling, tokenMerging };
  let initial: Float32Array;
  if (how.kind === "latent") {
    const [, high, wide] = canvas.latentShape;
    initial = await pipeline.resize(await pipeline.latents(canvas), [high, wide], size, how.how);
  } else {
    const pictures: Picture[] = [];
    for (let i = 0; i < images; i++) {
      await pipeline.decode(canvas, i);
      pictures.push(resize(await pipeline.picture(canvas), { width, height, method: how.method }));
    }
    const parts: Float32Array[] = [];
    for (const { pixels } of pictures) parts.push(await pipeline.encode(toUnit(pixels), { ...size, images: 1 }));
    initial = joined(parts);
  }
  const { guidance = plainGuidance, stepCache } = request;
  const input: PipelineInput = {
    ...common,
    ...again,
    ...size,
    trajectory,
    guidance,
    stepCache,
    initial,
    noise: making.noise(size, trajectory),
    signal: making.signal,
  };
  const shape = latentShape(pipeline.model, size);
  if (pipeline.model.unet.config.in_channels > shape[3]) {
    const hidden = new Float32Array(width * height).fill(1);
    const masked = await pipeline.encode(toUnit(new Uint8Array(3 * width * height), hidden), size);
    input.extra = inpaintChannels(shrinkMask(hidden, width, pipeline.model.vae.scale), masked, shape);
  }
  return input;
}

/** The decoded picture's PNG scanlines, as they come or with what was kept laid over them. */
async function* rowsOf(pipeline: Pipeline, canvas: Canvas, request: GenerateRequest) {
  const { overlay } = request;
  if (!overlay) return yield* pipeline.scanlines(canvas);
  const { width, height } = outputSize(request), pasted = paste(await pipeline.picture(canvas), overlay);
  yield { top: 0, rows: height, bytes: filterRows(pasted.pixels, width) };
}
