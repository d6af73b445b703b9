/** Tokens and noise to latents to pictures, stage by stage, as a generator that can be left between any two steps. */
import { readBuffer } from "../gpu/buffer.ts";
import type { Timings } from "../gpu/timing.ts";
import { guidanceProjection, timestepProjection } from "../models/unet/embeddings.ts";
import { HISTORY_SLOTS, rowFields } from "../ops/latents.ts";
import { axisTable, type Interpolation } from "../ops/resample.ts";
import { type Place, placeHistory } from "../samplers/history.ts";
import { cleanPrediction, type Level, type Prediction, type Step, type Trajectory } from "../samplers/step.ts";
import { gaussian } from "../tensor/random.ts";
import { elements } from "../tensor/shape.ts";
import { Canvas, type CanvasSize } from "./canvas.ts";
import { Canvases } from "./canvases.ts";
import type { StableDiffusion } from "./model.ts";
import type { Noise } from "./noise.ts";
import { fitMatrix, fittedSide, knownMatrix, unpackPixels } from "./preview.ts";
import { Stages } from "./stages.ts";
import { mixNoise, sampleMoments } from "./start.ts";
import { type PromptInput, StepText } from "./step_text.ts";
import { type Guidance, isGuided, plainGuidance } from "./tasks.ts";

/** What to make. */
export interface PipelineInput extends CanvasSize, PromptInput {
  trajectory: Trajectory;
  /** What the U-Net's output means; read where predictions are changed or looked at. */
  prediction?: Prediction;
  /** Image-to-image: RGB levels, height × width × 3. */
  initImage?: Uint8Array;
  /** Clean latents to start from instead, [images, height, width, channels]. */
  initial?: Float32Array;
  /**
   * What is repainted of `initial`: 1 where it is, of the same shape. Outside of it predictions are `initial` (A1111), or the
   * latents are made as noisy as they should be after each step (diffusers).
   */
  inpaint?: { mask: Float32Array; rule: "denoised" | "renoised" };
  /** What a U-Net for inpainting reads beside latents, [images, height, width, 1 + channels]. */
  extra?: Float32Array;
  guidance?: Guidance;
  /** After which steps, from 0, there are previews. */
  isPreviewed?: (step: number) => boolean;
  /**
   * The next draw of standard normals for all pictures, [images, channels, height, width] as torch orders them. Asked
   * for in the reference's order: with a picture first the posterior's; then the start's; then one a stochastic step.
   */
  noise: Noise;
}

/** One sampler move is done, of `steps`. */
export interface StepEvent {
  step: number;
  steps: number;
  ms: number;
  /** Where one is due: a small view of each image, RGB, [height, width, 3] at the latents' size. */
  previews?: Preview[];
}

/** A small picture. */
export interface Preview {
  width: number;
  height: number;
  pixels: Uint8Array<ArrayBuffer>;
}

/** Rows of scanlines are read back in bands of this many. */
const bandRows = 64;

export class Pipeline implements Disposable {
  readonly #canvases: Canvases;
  /** How long the stages of the last run took. */
  stages: Stages;
  /** From latents to colours, once it is known or fitted. */
  #matrix?: Float32Array;

  constructor(readonly model: StableDiffusion) {
    this.stages = new Stages(model.backend.device.clock);
    this.#canvases = new Canvases(model);
  }

  /** Begins a run: what was measured of the last one is forgotten. */
  begin(): void {
    const { clock } = this.model.backend.device;
    clock?.clear();
    this.stages = new Stages(clock);
  }

  /** The stages of a size. What the sizes least recently used have on the device is freed. */
  canvas(size: CanvasSize): Canvas {
    return this.#canvases.of(size);
  }

  /** The stages of one picture of a batch: by those text is read and pictures are decoded, however many are made together. */
  alone({ size }: Canvas): Canvas {
    return size.images === 1 ? this.canvas(size) : this.canvas({ ...size, images: 1 });
  }

  /** Runs text, start and all steps; the final latents stay in the canvas. Yields after each step. */
  async *denoise(input: PipelineInput, timings?: Timings): AsyncGenerator<StepEvent, Canvas> {
    this.model.backend.residency.unpin(); // what a pass before this one made is given in `input`
    if (input.isPreviewed) await this.fitPreviews(); // its decoder may need the room that steps will have
    const canvas = this.canvas(input), { trajectory: { steps }, guidance = plainGuidance } = input;
    const text = await this.stages.time("text", () => StepText.encode(canvas, input, this.alone(canvas)));
    const places = placeHistory(steps, HISTORY_SLOTS);
    await this.stages.time(input.initImage ? "encode" : "start", () => this.#start(canvas, input));
    const end = this.stages.begin("denoise");
    let sum = 0;
    for (const [i, step] of steps.entries()) {
      const began = performance.now(), guided = text.halves === 2 && isGuided(i, steps.length, guidance);
      await this.#step(text, input, { call: i, step, place: places[i], guided, timings });
      const isLast = i + 1 === steps.length, levelAfter = isLast ? { signal: 1, noise: 0 } : steps[i + 1].level;
      if (input.inpaint && (isLast || input.inpaint.rule === "renoised")) await this.#blend(canvas, levelAfter);
      const previews = input.isPreviewed?.(i)
        ? await this.#preview(canvas, step, places[i], levelAfter, input.prediction)
        : await this.model.backend.device.idle();
      const ms = performance.now() - began;
      sum += ms;
      yield { step: i + 1, steps: steps.length, ms, ...(previews && { previews }) };
    }
    end(sum); // without what others did between the steps
    canvas.releaseCaches();
    return canvas;
  }

  /** The U-Net calls of a step and its sampler row. */
  async #step(
    text: StepText,
    { guidanceScale, guidance = plainGuidance, prediction = "epsilon", ...input }: PipelineInput,
    { call, step, place, guided, timings }: {
      call: number;
      step: Step;
      place: Place;
      guided: boolean;
      timings?: Timings;
    },
  ): Promise<void> {
    const guides = guidance.threshold > 0 || guided && guidance.rescale > 0, masks = input.inpaint?.rule === "denoised";
    const { config } = this.model.unet, { skip, out } = cleanPrediction(prediction, step.level);
    const { threshold, percentile } = guidance, rescale = guided ? guidance.rescale : 0;
    await text.run(call, { guided, guides, masks, timings }, {
      row: encodeRow(step, place, text.scale),
      timestep: timestepProjection(step.timestep, config),
      condition: config.time_cond_proj_dim ? guidanceProjection(guidanceScale, config) : undefined,
      noise: step.noise !== 0 ? channelsLast(input.noise(step), text.canvas.latentShape) : undefined,
      extra: input.extra,
      options: Float32Array.of(skip, out, rescale, threshold, percentile, 0, 0, 0),
    });
  }

  /** Makes what the mask does not cover the picture's own latents again, as noisy as `level`. */
  async #blend(canvas: Canvas, { signal, noise }: Level): Promise<void> {
    const plan = await canvas.blend();
    plan.write("level", Float32Array.of(signal, noise));
    plan.run();
  }

  /**
   * The colours of what a row took for the clean latents, or of the latents after it where its history holds something else.
   * Waits for the step with what it reads.
   */
  async #preview(canvas: Canvas, step: Step, { slot }: Place, after: Level, prediction: Prediction = "epsilon") {
    const clean = cleanPrediction(prediction, step.level), isClean = isClose(step, clean);
    const matrix = await this.fitPreviews(), scale = Math.hypot(after.signal, after.noise);
    const [images, height, width] = canvas.latentShape, plan = await canvas.preview(isClean ? "history" : "latents");
    plan.write("matrix", isClean ? matrix : matrix.map((weight, i) => i < matrix.length - 4 ? weight / scale : weight));
    const words = height * Math.ceil(width / 4) * 4, first = isClean ? slot * images * words : 0;
    const bytes = await readBuffer(
      this.model.backend.device,
      plan.buffer("preview"),
      4 * first,
      4 * images * words,
      (encoder) => plan.encode(encoder),
    );
    return Array.from({ length: images }, (_, i): Preview => ({
      width,
      height,
      pixels: unpackPixels(new Uint32Array(bytes, 4 * i * words, words), width, height),
    }));
  }

  /** The matrix of previews, the first time: published for this VAE, or fitted to one picture of random latents. */
  async fitPreviews(): Promise<Float32Array> {
    const { config, scale } = this.model.vae;
    this.#matrix ??= knownMatrix(config);
    if (this.#matrix) return this.#matrix;
    const canvas = new Canvas(this.model, { images: 1, height: fittedSide * scale, width: fittedSide * scale });
    try {
      const plan = await canvas.decode(), { latent_channels: channels } = config;
      const latents = gaussian({ seed: 0, rng: "cpu", shape: [fittedSide ** 2, channels] })();
      plan.write("code", latents);
      plan.run();
      return this.#matrix = fitMatrix(latents, await plan.read("image"), channels, scale);
    } finally {
      canvas[Symbol.dispose]();
    }
  }

  /**
   * Clean latents of `images` pictures of which this one is the start, [images, height, width, channels] of its own size.
   * `image` is [height, width, 3] in [-1, 1]; the mean of the VAE's distribution where there is no `posterior`.
   */
  async encode(
    image: Float32Array,
    size: CanvasSize,
    posterior?: Float32Array,
  ): Promise<Float32Array> {
    return await this.stages.time("encode", async () => {
      const canvas = this.canvas(size), plan = await canvas.encode();
      plan.write("image", image);
      plan.run();
      const { scaling_factor: scalingFactor } = this.model.vae.config, shape = canvas.latentShape;
      const drawn = posterior && channelsLast(posterior, shape);
      return sampleMoments(await plan.read("moments"), shape, { scalingFactor, posterior: drawn });
    });
  }

  /** Latents [images, …from, channels] in the size of a canvas. */
  async resize(
    latents: Float32Array,
    from: readonly [height: number, width: number],
    size: CanvasSize,
    how: Interpolation,
  ): Promise<Float32Array> {
    const canvas = this.canvas(size), [, height, width] = canvas.latentShape;
    const rows = axisTable(from[0], height, how), columns = axisTable(from[1], width, how);
    const plan = await canvas.resample({ from, taps: [rows.taps, columns.taps] });
    plan.write("source", latents);
    plan.write("rows", rows.data);
    plan.write("columns", columns.data);
    plan.run();
    return await plan.read("resized");
  }

  /** The final latents of a canvas. */
  async latents(canvas: Canvas): Promise<Float32Array> {
    const plan = await canvas.preview("latents");
    return await plan.read("latents");
  }

  /** Decodes the picture `image` of a canvas; {@link scanlines} and {@link picture} then give that one. */
  async decode(canvas: Canvas, image = 0): Promise<void> {
    await this.stages.time("decode", async () => {
      const { device } = this.model.backend, plan = await this.alone(canvas).decode();
      const bytes = plan.named.get("code")!.value.storage.bytes;
      const encoder = device.gpu.createCommandEncoder();
      encoder.copyBufferToBuffer(canvas.latents, image * bytes, plan.buffer("code"), 0, bytes);
      device.gpu.queue.submit([encoder.finish()]);
      plan.run();
      await device.idle();
    });
  }

  /** The decoded picture's PNG scanlines, band by band from the top. */
  async *scanlines(canvas: Canvas): AsyncGenerator<{ top: number; rows: number; bytes: Uint8Array<ArrayBuffer> }> {
    const { height, width } = canvas.size, stride = 1 + 3 * width;
    const buffer = (await this.alone(canvas).decode()).buffer("scanlines");
    for (let top = 0; top < height; top += bandRows) {
      const rows = Math.min(bandRows, height - top);
      const begin = top * stride, end = begin + rows * stride, aligned = begin - begin % 4;
      const size = Math.ceil((end - aligned) / 4) * 4;
      const words = await readBuffer(this.model.backend.device, buffer, aligned, size);
      yield { top, rows, bytes: new Uint8Array(words).slice(begin - aligned, end - aligned) };
    }
  }

  /** The decoded picture as the VAE gives it, [1, height, width, 3] in [-1, 1]. */
  async decoded(canvas: Canvas): Promise<Float32Array> {
    return await (await this.alone(canvas).decode()).read("image");
  }

  /** The decoded picture, RGB, [height, width, 3]. */
  async picture(canvas: Canvas): Promise<{ width: number; height: number; pixels: Uint8Array<ArrayBuffer> }> {
    const { width, height } = canvas.size, image = await this.decoded(canvas);
    const level = (value: number) => Math.floor(Math.min(1, Math.max(0, Math.fround(0.5 * value + 0.5))) * 255 + 0.5);
    return { width, height, pixels: Uint8Array.from(image, level) };
  }

  async #start(canvas: Canvas, { initial, inpaint, initImage, trajectory, noise }: PipelineInput): Promise<void> {
    const [images, height, width] = canvas.latentShape;
    const { scaling_factor } = this.model.vae.config;
    if (initial) {
      const plan = await canvas.blend(), normals = channelsLast(noise("start"), canvas.latentShape);
      plan.write("latents", mixNoise(initial, normals, trajectory.start));
      plan.write("firstNoise", normals);
      plan.write("initial", initial);
      if (inpaint) plan.write("mask", inpaint.mask);
      return;
    }
    if (initImage) {
      const encode = await canvas.encode();
      encode.write("image", Float32Array.from(initImage, (level) => level / 127.5 - 1));
      encode.run();
      await this.model.backend.device.idle();
    }
    const plan = await canvas.start({ fromImage: initImage !== undefined });
    if (initImage) plan.write("posterior", channelsLast(noise("posterior"), canvas.latentShape));
    plan.write("noise", channelsLast(noise("start"), [images, height, width, canvas.latentShape[3]]));
    const { signal, noise: scale } = initImage ? trajectory.start : { signal: 0, noise: trajectory.initialScale };
    plan.write("start", new Float32Array([signal, scale, scaling_factor, height * width]));
    plan.run();
    await this.model.backend.device.idle();
  }

  /** Bytes that the kept sizes take on the GPU. */
  get bytes(): number {
    return this.#canvases.bytes;
  }

  /** Frees the plans of all sizes. */
  clear(): void {
    this.#canvases.clear();
  }

  [Symbol.dispose](): void {
    this.clear();
  }
}

/** The `row` operand of ops/latents.ts for one step and its place in the history. */
export function encodeRow(step: Step, { slot, saveSlot, weights }: Place, guidanceScale: number): Float32Array {
  const { inputScale, skip, out, clip = 0, x, noise, unclipped = 0 } = step;
  const [weight0, weight1, weight2, weight3, weight4, weight5, weight6] = weights;
  const fields = {
    ...{ inputScale, guidanceScale, skip, out, clip, slot, x, noise, unclipped, saveSlot },
    ...{ weight0, weight1, weight2, weight3, weight4, weight5, weight6 },
  };
  return Float32Array.from(rowFields, (name) => fields[name]);
}

/** [images, channels, height, width] to [images, height, width, channels]. */
export function channelsLast(data: Float32Array, shape: readonly [number, number, number, number]): Float32Array {
  const [images, height, width, channels] = shape, pixels = height * width;
  if (data.length !== elements(shape)) throw new RangeError(`${data.length} normals drawn for [${shape}]`);
  const result = new Float32Array(data.length);
  for (let image = 0; image < images; image++) {
    for (let channel = 0; channel < channels; channel++) {
      for (let pixel = 0; pixel < pixels; pixel++) {
        result[(image * pixels + pixel) * channels + channel] = data[(image * channels + channel) * pixels + pixel];
      }
    }
  }
  return result;
}

/** Whether a row's prediction is that of the clean latents. */
function isClose(step: Step, clean: { skip: number; out: number }): boolean {
  const near = (a: number, b: number) => Math.abs(a - b) <= 1e-4 * Math.max(1, Math.abs(b));
  return near(step.skip, clean.skip) && near(step.out, clean.out);
}
