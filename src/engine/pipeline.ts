/** Tokens and noise to latents to pictures, stage by stage, as a generator that can be left between any two steps. */
import { readBuffer } from "../gpu/buffer.ts";
import type { Timings } from "../gpu/timing.ts";
import { guidanceProjection, timestepProjection } from "../models/unet/embeddings.ts";
import { HISTORY_SLOTS, rowFields } from "../ops/latents.ts";
import { type Place, placeHistory } from "../samplers/history.ts";
import type { Step, Trajectory } from "../samplers/step.ts";
import { elements } from "../tensor/shape.ts";
import { Canvas, type CanvasSize } from "./canvas.ts";
import type { StableDiffusion } from "./model.ts";

/** What to make. Tokens are 77 ids a prompt, padded as the model's tokenizer does. */
export interface PipelineInput extends CanvasSize {
  /** One prompt a picture. */
  conditional: readonly Uint32Array[];
  /** The negative prompts, one a picture; read where guidance runs. */
  unconditional: readonly Uint32Array[];
  /** Above 1 the unconditional half runs too. */
  guidanceScale: number;
  trajectory: Trajectory;
  /** Image-to-image: RGB levels, height × width × 3. */
  initImage?: Uint8Array;
  /**
   * The next draw of standard normals for all pictures, [images, channels, height, width] as torch orders them. Asked
   * for in the reference's order: with a picture first the posterior's; then the start's; then one a stochastic step.
   */
  noise(): Float32Array;
}

/** One sampler move is done, of `steps`. */
export interface StepEvent {
  step: number;
  steps: number;
  ms: number;
}

/** Rows of scanlines are read back in bands of this many. */
const bandRows = 64;
/** Sizes whose plans are kept. */
const keptCanvases = 2;

export class Pipeline implements Disposable {
  /** Most recently used last. */
  readonly #canvases = new Map<string, Canvas>();
  /** Milliseconds of the last run by stage. */
  timing: Record<string, number> = {};

  constructor(readonly model: StableDiffusion) {}

  /** The stages of a size. What the sizes least recently used have on the device is freed. */
  canvas({ images, height, width }: CanvasSize): Canvas {
    const key = `${images} ${height} ${width}`;
    const canvas = this.#canvases.get(key) ?? new Canvas(this.model, { images, height, width });
    this.#canvases.delete(key);
    this.#canvases.set(key, canvas);
    for (const [old, other] of this.#canvases) {
      if (this.#canvases.size <= keptCanvases) break;
      other[Symbol.dispose]();
      this.#canvases.delete(old);
    }
    return canvas;
  }

  /** Runs text, start and all steps; the final latents stay in the canvas. Yields after each step. */
  async *denoise(input: PipelineInput, timings?: Timings): AsyncGenerator<StepEvent, Canvas> {
    const canvas = this.canvas(input), halves = halvesOf(input.guidanceScale, this.model);
    this.timing = {};
    await this.#timed("text", () => this.#encodeText(canvas, input, halves));
    await this.#timed(input.initImage ? "encode" : "start", () => this.#start(canvas, input));
    const plan = await canvas.step(halves), { config } = this.model.unet;
    if (config.time_cond_proj_dim) plan.write("condition", guidanceProjection(input.guidanceScale, config));
    const { steps } = input.trajectory, places = placeHistory(steps, HISTORY_SLOTS);
    for (const [i, step] of steps.entries()) {
      const began = performance.now();
      if (step.noise !== 0) plan.write("noise", channelsLast(input.noise(), canvas.latentShape));
      plan.write("row", encodeRow(step, places[i], input.guidanceScale));
      plan.write("timestep", timestepProjection(step.timestep, config));
      plan.run(timings);
      await this.model.backend.device.idle();
      const ms = performance.now() - began;
      this.timing.denoise = (this.timing.denoise ?? 0) + ms;
      yield { step: i + 1, steps: steps.length, ms };
    }
    return canvas;
  }

  /** Decodes the picture `image` of a canvas; its `image` and `scanlines` are then those of the decode plan. */
  async decode(canvas: Canvas, image = 0): Promise<void> {
    await this.#timed("decode", async () => {
      const { device } = this.model.backend, plan = await canvas.decode();
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
    const buffer = (await canvas.decode()).buffer("scanlines");
    for (let top = 0; top < height; top += bandRows) {
      const rows = Math.min(bandRows, height - top);
      const begin = top * stride, end = begin + rows * stride, aligned = begin - begin % 4;
      const size = Math.ceil((end - aligned) / 4) * 4;
      const words = await readBuffer(this.model.backend.device, buffer, aligned, size);
      yield { top, rows, bytes: new Uint8Array(words).slice(begin - aligned, end - aligned) };
    }
  }

  async #encodeText(
    canvas: Canvas,
    { conditional, unconditional, images }: PipelineInput,
    halves: 1 | 2,
  ): Promise<void> {
    const prompts = halves === 2 ? [...unconditional, ...conditional] : conditional;
    if (prompts.length !== halves * images) {
      throw new RangeError(`${prompts.length} prompts for ${halves * images} places`);
    }
    const plan = await canvas.text(halves), length = prompts[0].length, ids = new Uint32Array(prompts.length * length);
    for (const [i, prompt] of prompts.entries()) ids.set(prompt, i * length);
    plan.write("ids", ids);
    plan.run();
    await this.model.backend.device.idle();
  }

  async #start(canvas: Canvas, { initImage, trajectory, noise }: PipelineInput): Promise<void> {
    const [images, height, width] = canvas.latentShape;
    const { scaling_factor } = this.model.vae.config;
    if (initImage) {
      const encode = await canvas.encode();
      encode.write("image", Float32Array.from(initImage, (level) => level / 127.5 - 1));
      encode.run();
      await this.model.backend.device.idle();
    }
    const plan = await canvas.start({ fromImage: initImage !== undefined });
    if (initImage) plan.write("posterior", channelsLast(noise(), canvas.latentShape));
    plan.write("noise", channelsLast(noise(), [images, height, width, canvas.latentShape[3]]));
    const { signal, noise: scale } = initImage ? trajectory.start : { signal: 0, noise: trajectory.initialScale };
    plan.write("start", new Float32Array([signal, scale, scaling_factor, height * width]));
    plan.run();
    await this.model.backend.device.idle();
  }

  async #timed(stage: string, run: () => Promise<void>): Promise<void> {
    const began = performance.now();
    await run();
    this.timing[stage] = (this.timing[stage] ?? 0) + performance.now() - began;
  }

  /** Bytes that the kept sizes take on the GPU. */
  get bytes(): number {
    return [...this.#canvases.values()].reduce((sum, canvas) => sum + canvas.bytes, 0);
  }

  /** Frees the plans of all sizes. */
  clear(): void {
    for (const canvas of this.#canvases.values()) canvas[Symbol.dispose]();
    this.#canvases.clear();
  }

  [Symbol.dispose](): void {
    this.clear();
  }
}

/**
 * How many predictions a step guides by: both halves where the scale is above 1, or one where the U-Net is told the scale
 * (`time_cond_proj_dim`, of models distilled to few steps).
 */
export function halvesOf(guidanceScale: number, { unet }: Pick<StableDiffusion, "unet">): 1 | 2 {
  return guidanceScale > 1 && !unet.config.time_cond_proj_dim ? 2 : 1;
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
