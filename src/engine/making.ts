/** How a request's pictures are made: which passes over which latents, one batch of pictures after the other. */
import { paste } from "../image/overlay.ts";
import { resize } from "../image/resize.ts";
import type { Picture } from "../image/picture.ts";
import { filterRows } from "../png/filter.ts";
import { latentShape } from "./canvas.ts";
import type { Canvas, CanvasSize } from "./canvas.ts";
import { turn } from "./turn.ts";
import { channelsLast, type Pipeline, type PipelineInput, type StepEvent } from "./pipeline.ts";
import type { Progress } from "./served_model.ts";
import type { Noise } from "./noise.ts";
import { cutMask, inpaintChannels, latentMask, refill, shrinkMask, toUnit } from "./start.ts";
import type { GenerateRequest } from "./request.ts";
import { isPreviewed, outputSize, plainGuidance, upscalers } from "./tasks.ts";
import type { Trajectory } from "../samplers/step.ts";
import { joined } from "../tensor/join.ts";

/** What the passes of a request share. */
export interface Making {
  pipeline: Pipeline;
  request: GenerateRequest;
  signal: AbortSignal;
  /** The pictures of a batch as the pipeline is told of them, beside what is particular to a pass. */
  common: Pick<PipelineInput, "conditional" | "unconditional" | "guidanceScale" | "prediction">;
  /** The prompts of the second pass, where there is one. */
  again?: Pick<PipelineInput, "conditional" | "unconditional">;
  /** The schedule of the first pass, and of the second where there is one. */
  trajectories: readonly Trajectory[];
  /** Draws of standard normals for the pictures of a batch of a size, from its start on. */
  noise(size: CanvasSize, trajectory: Trajectory): Noise;
}

/** Steps of all passes over one batch. */
export function stepsOf(trajectories: readonly Trajectory[]): number {
  return trajectories.reduce((sum, { steps }) => sum + steps.length, 0);
}

/**
 * Makes one batch, of which `first` is the first picture's number: `step`s, then each picture's `rows`. Ends early, with
 * true, once the signal is aborted.
 */
export async function* makeBatch(
  making: Making,
  { first, images, step: done, steps }: { first: number; images: number; step: number; steps: number },
): AsyncGenerator<Progress, boolean> {
  const { pipeline, request, signal, trajectories } = making, { hires, previews = 0 } = request;
  /** For a pass that begins after so many steps of the batch. */
  const previewed = (before: number) =>
    previews > 0 ? (step: number) => isPreviewed(before + step, stepsOf(trajectories), previews) : undefined;
  /** What is awaited, or undefined where the signal ended it. */
  const unlessCancelled = <Result>(awaited: Promise<Result>) =>
    awaited.catch((error) => {
      if (signal.aborted && error === signal.reason) return undefined;
      throw error;
    });
  const tell = async function* (pass: AsyncGenerator<StepEvent, Canvas>): AsyncGenerator<Progress, Canvas | undefined> {
    let next = await unlessCancelled(pass.next());
    for (; next && !next.done; next = await unlessCancelled(pass.next())) {
      const { previews = [], ms } = next.value;
      yield { type: "step", step: ++done, steps, ms };
      for (const [i, preview] of previews.entries()) {
        yield { type: "preview", image: first + i, step: done, ...preview };
      }
      await turn();
      if (signal.aborted) return undefined;
    }
    if (!next) return undefined;
    yield* stagesOf(pipeline);
    return next.value;
  };
  let canvas = yield* tell(pipeline.denoise({ ...await firstPass(making, images), isPreviewed: previewed(0) }));
  if (!canvas) return true;
  if (hires) {
    const input = await secondPass(making, canvas, trajectories[1]);
    canvas = yield* tell(pipeline.denoise({ ...input, isPreviewed: previewed(trajectories[0].steps.length) }));
    if (!canvas) return true;
  }
  for (let i = 0; i < images; i++) {
    await pipeline.decode(canvas, i);
    yield* stagesOf(pipeline);
    const end = pipeline.stages.begin("rows");
    for await (const band of rowsOf(pipeline, canvas, request)) {
      yield { type: "rows", image: first + i, ...band };
      await turn();
      if (signal.aborted) return true;
    }
    end();
  }
  yield* stagesOf(pipeline);
  return false;
}

/** The stages that are over and have not been told of. */
async function* stagesOf({ stages }: Pipeline): AsyncGenerator<Progress> {
  for (const time of await stages.take()) yield { type: "stage", ...time };
}

async function firstPass(making: Making, images: number): Promise<PipelineInput> {
  const { pipeline, request, common, trajectories: [trajectory] } = making;
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
