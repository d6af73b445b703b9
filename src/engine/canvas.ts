/** Everything one picture size needs on the GPU: state that the stages share, and a plan a stage, made when first used. */
import { Graph, storageBytes, Value } from "../graph/graph.ts";
import { createStorage, freeze, type Plan, planBytes } from "../graph/plan.ts";
import { mostTextureBytes } from "../graph/textures.ts";
import { HISTORY_SLOTS, startLatents } from "../ops/latents.ts";
import type { BandOptions } from "../models/vae/autoencoder.ts";
import { scale } from "../ops/elementwise.ts";
import { filterScanlines, toPixels } from "../ops/pixels.ts";
import type { Component } from "./component.ts";
import { recordBlend, recordPreview, recordResample } from "./latent_stages.ts";
import type { StableDiffusion } from "./model.ts";
import { type CanvasSize, latentShape, type Recorder } from "./recorder.ts";
import { Resident } from "./residency.ts";
import { cacheBytes, type CacheUse } from "./step_cache.ts";
import { recordPart, recordRow, recordStep, type StepExtras, type StepStage } from "./step_stages.ts";

export { type CanvasSize, latentShape, type Recorder } from "./recorder.ts";

/** A stage's graph, recorded: no weights have to be there for it. */
export function record({ backend }: StableDiffusion, { network, wraps, tokenMerging, record }: Recorder): Graph {
  const graph = new Graph({ ...network === "vae" ? backend.vaeTarget : backend.target, wraps, tokenMerging });
  record(graph);
  return graph;
}

/** Values that the stages of one size hand on to each other, by name, with their bytes. */
export function stateBytes(model: StableDiffusion, size: CanvasSize): Record<string, number> {
  const { vaeTarget } = model.backend, shape = latentShape(model, size), [, height, width, channels] = shape;
  const latents = storageBytes(shape, "f32");
  return {
    latents,
    history: HISTORY_SLOTS * latents,
    noise: latents,
    posterior: latents,
    // Both halves of guidance, of a step that is put together by parts.
    prediction: 2 * latents,
    // Of pictures that are repainted: their own latents, where those change, and the noise that they began with.
    initial: latents,
    mask: latents,
    firstNoise: latents,
    moments: storageBytes([1, height, width, 2 * channels], vaeTarget.hiddenType),
  };
}

/** What the state of a size takes on the device. */
export function sharedBytes(model: StableDiffusion, size: CanvasSize): number {
  return Object.values(stateBytes(model, size)).reduce((sum, bytes) => sum + Math.max(16, bytes), 0);
}

/** How a stage of the text encoder differs from another. */
export interface TextStage {
  /** Chunks that are read together. */
  sequences: 1 | 2;
  /** Layers left out at the end. */
  skip?: number;
  /** Whether ids beyond the vocabulary are rows of `vectors` [tokens, width]. */
  withVectors?: boolean;
}

/** Tokens `ids` [sequences, tokens, 1] to `states` [sequences, tokens, width]. */
export function recordText(
  { textEncoder }: StableDiffusion,
  { sequences, skip = 0, withVectors = false }: TextStage,
): Recorder {
  const { max_position_embeddings: tokens, hidden_size } = textEncoder.config;
  return {
    network: "textEncoder",
    record(graph) {
      const ids = graph.input("ids", [sequences, tokens, 1], "u32");
      const vectors = withVectors ? graph.input("vectors", [tokens, hidden_size], "f32") : undefined;
      graph.keep("states", textEncoder.forward(ids, { skip, vectors }));
    },
  };
}

/** A picture `image` [1, height, width, 3] in [-1, 1] to the `moments` of its latents. */
export function recordEncode(
  { vae, backend }: StableDiffusion,
  { height, width, tiling }: CanvasSize,
  options: BandOptions = {},
): Recorder {
  return {
    network: "vae",
    wraps: tiling,
    record(graph) {
      const image = graph.input("image", [1, height, width, vae.config.in_channels], backend.precision);
      graph.keep("moments", vae.encode(image, options));
    },
  };
}

/** `noise`, and from a picture `posterior` and its `moments`, to `latents`; `start` as {@link startLatents} reads it. */
export function recordStart(model: StableDiffusion, size: CanvasSize, { fromImage }: { fromImage: boolean }): Recorder {
  const shape = latentShape(model, size), [, height, width, channels] = shape;
  return {
    record(graph) {
      const f32 = (name: string, shape: readonly number[]) => graph.input(name, shape, "f32");
      const [latents, noise, start] = [f32("latents", shape), f32("noise", shape), f32("start", [4])];
      if (!fromImage) return startLatents({ latents, noise, start });
      const moments = graph.input("moments", [1, height, width, 2 * channels], model.backend.vaeTarget.hiddenType);
      startLatents({ latents, noise, start, moments, posterior: f32("posterior", shape) });
    },
  };
}

/** Latents `code` [1, …] of one picture to `image` [1, height, width, 3] in [-1, 1] and the `scanlines` of its PNG. */
export function recordDecode(model: StableDiffusion, size: CanvasSize, options: BandOptions = {}): Recorder {
  const { vae, backend } = model, [, ...shape] = latentShape(model, size);
  return {
    network: "vae",
    wraps: size.tiling,
    record(graph) {
      const code = graph.input("code", [1, ...shape], "f32");
      const image = vae.decode(scale(code, 1 / vae.config.scaling_factor, backend.precision), options);
      graph.keep("image", image);
      graph.keep("scanlines", filterScanlines(toPixels(image)));
    },
  };
}

/** A stage alone on the device: its bytes, and why it could not run whatever there is. */
export interface Need {
  bytes: number;
  problem?: string;
}

/** What a stage takes with its weights and state, and nothing else on the device. */
export function needOf(model: StableDiffusion, size: CanvasSize, recorder: Recorder): Need {
  const { backend: { device }, components } = model, state = stateBytes(model, size);
  const common = sharedBytes(model, size);
  const component = recorder.network && components[recorder.network];
  try {
    const graph = record(model, recorder);
    let problem: string | undefined;
    const mostRead = mostTextureBytes(device);
    for (const { kernel, operands, writes, textures } of graph.dispatches) {
      const written = operands[writes], bytes = written instanceof Value ? written.storage.bytes : 0;
      if (bytes > device.maxBinding) {
        problem ??= `${kernel.name} would write ${bytes} bytes, ${device.maxBinding} at most`;
      }
      for (const name of textures) {
        const read = operands[name], bytes = read instanceof Value ? read.storage.bytes : 0;
        if (bytes > mostRead) problem ??= `${kernel.name} would read ${bytes} bytes of a texture, ${mostRead} at most`;
      }
    }
    const plan = planBytes(graph, new Set(Object.keys(state)));
    return { bytes: common + (component ? component.size + Math.max(plan, component.staging) : plan), problem };
  } catch (error) {
    if (error instanceof RangeError) return { bytes: Infinity, problem: error.message };
    throw error;
  }
}

/** Bytes of a band that are tried where an undivided picture does not fit. */
const bandings: readonly BandOptions[] = [{}, ...[64, 32, 16, 8].map((MiB) => ({ bandBytes: MiB << 20 }))];

/** A stage undivided, or else in the largest bands with which it runs and keeps the budget; the last tried where none does. */
export function fit(
  model: StableDiffusion,
  size: CanvasSize,
  make: (options: BandOptions) => Recorder,
): { recorder: Recorder; need: Need } {
  const { budget } = model.backend.residency;
  let found: { recorder: Recorder; need: Need };
  for (const options of bandings) {
    const recorder = make(options), need = needOf(model, size, recorder);
    found = { recorder, need };
    if (!need.problem && need.bytes <= budget) break;
  }
  return found!;
}

/** State of one size, in buffers. */
class State extends Resident {
  readonly #sizes: Record<string, number>;
  #buffers: Record<string, GPUBuffer> = {};

  constructor(name: string, readonly model: StableDiffusion, sizes: Record<string, number>) {
    super("state", name, model.backend.residency);
    this.#sizes = sizes;
  }

  override get bytes(): number {
    return Object.values(this.#buffers).reduce((sum, { size }) => sum + size, 0);
  }

  /** The buffers, made if they are not there. */
  load(): Record<string, GPUBuffer> {
    if (this.bytes === 0) {
      const { device, residency } = this.model.backend, sizes = Object.entries(this.#sizes);
      residency.makeRoom(this.name, sizes.reduce((sum, [, bytes]) => sum + Math.max(16, bytes), 0), []);
      this.#buffers = Object.fromEntries(sizes.map(([name, bytes]) => [name, createStorage(device, name, bytes)]));
      this.arrive();
    } else this.use();
    this.residency.pin(this); // what one stage left in it the next one reads
    return this.#buffers;
  }

  protected override drop(): void {
    for (const buffer of Object.values(this.#buffers)) this.model.backend.device.memory.free(buffer);
    this.#buffers = {};
  }
}

/** One stage's plan: recorded and bound when it is asked for, and again after it, its weights or its state had to go. */
class Stage extends Resident {
  readonly #model: StableDiffusion;
  readonly #states: readonly State[];
  readonly #recorder: Recorder;
  readonly #component?: Component;
  #plan?: Plan;
  #bytes = 0;

  constructor(name: string, model: StableDiffusion, states: readonly State[], recorder: Recorder) {
    const component = recorder.network && model.components[recorder.network];
    super("plan", name, model.backend.residency, component ? [...states, component] : [...states]);
    [this.#model, this.#states, this.#recorder, this.#component] = [model, states, recorder, component];
  }

  override get bytes(): number {
    return this.#bytes;
  }

  /** The plan, its weights and state on the device; everything else there may have to go for it. */
  async plan(): Promise<Plan> {
    const shared: Record<string, GPUBuffer> = Object.assign({}, ...this.#states.map((state) => state.load()));
    if (this.#plan) {
      this.use();
      return this.#plan;
    }
    const { device, residency } = this.#model.backend, component = this.#component;
    const graph = record(this.#model, this.#recorder), states = this.#states;
    const bytes = planBytes(graph, new Set(Object.keys(shared)));
    await component?.load({ more: bytes, needed: states });
    const freed = residency.makeRoom(this.name, bytes, component ? [...states, component] : states);
    if (freed) await device.idle(); // until then WebGPU keeps what was destroyed
    this.#plan = freeze(device, graph, shared);
    this.#bytes = bytes;
    this.arrive();
    return this.#plan;
  }

  protected override drop(): void {
    this.#plan?.[Symbol.dispose]();
    this.#plan = undefined;
    this.#bytes = 0;
  }
}

/**
 * The stages of one size; `latents`, `history`, `noise`, `posterior`, `prediction` and `moments` are one buffer in all of
 * them. Asking for a stage brings what it needs to the device, and may free what another one of any size needs.
 */
export class Canvas implements Disposable {
  readonly #stages = new Map<string, Stage>();
  readonly #state: State;
  /** Of steps that are cached, by {@link Canvas.#cache}'s names. */
  readonly #caches = new Map<string, State>();
  /** [images, latent height, latent width, channels]. */
  readonly latentShape: readonly [number, number, number, number];

  constructor(readonly model: StableDiffusion, readonly size: CanvasSize) {
    this.latentShape = latentShape(model, size);
    this.#state = new State(this.#name("state"), model, stateBytes(model, size));
  }

  /** The buffer of the latents, f32, their channels padded to whole vec4s. */
  get latents(): GPUBuffer {
    return this.#state.load().latents;
  }

  /** Bytes on the GPU besides the weights. */
  get bytes(): number {
    return [this.#state, ...this.#caches.values(), ...this.#stages.values()].reduce((sum, { bytes }) => sum + bytes, 0);
  }

  text({ sequences, skip = 0, withVectors = false }: TextStage): Promise<Plan> {
    const name = `text ${sequences}${skip ? `, ${skip} skipped` : ""}${withVectors ? ", with vectors" : ""}`;
    return this.#plan(name, () => recordText(this.model, { sequences, skip, withVectors }), []);
  }

  encode(): Promise<Plan> {
    return this.#plan("encode", () => this.#fit(recordEncode));
  }

  start({ fromImage }: { fromImage: boolean }): Promise<Plan> {
    const name = fromImage ? "start from image" : "start";
    return this.#plan(name, () => recordStart(this.model, this.size, { fromImage }));
  }

  step({ halves, tokens = this.#tokens }: StepStage, extras: StepExtras = {}): Promise<Plan> {
    const name = `step ${halves}${this.#ofLength(tokens)}${nameOf(extras)}`;
    const states = extras.cache ? [this.#state, this.#cache(halves)] : [this.#state];
    return this.#plan(name, () => recordStep(this.model, this.size, { halves, tokens }, extras), states);
  }

  part(tokens: number, use?: CacheUse): Promise<Plan> {
    const name = `part of a step${this.#ofLength(tokens)}${nameOf({ cache: use })}`;
    const states = use ? [this.#state, this.#cache(1)] : [this.#state];
    return this.#plan(name, () => recordPart(this.model, this.size, tokens, use), states);
  }

  /** After a part that keeps its hidden states puts them by as those of number `part`; before one that reads them, back. */
  movePart(part: number, use: CacheUse): void {
    const [shared, own] = [this.#cache(1).load().deep, this.#cache(1, part).load().deep];
    const [from, to] = use === "keep" ? [shared, own] : [own, shared], { gpu } = this.model.backend.device;
    const encoder = gpu.createCommandEncoder();
    encoder.copyBufferToBuffer(from, 0, to, 0, own.size);
    gpu.queue.submit([encoder.finish()]);
  }

  /** After a pass: what was kept between its steps may leave. */
  releaseCaches(): void {
    for (const cache of this.#caches.values()) this.model.backend.residency.unpin(cache);
  }

  row(extras: StepExtras = {}): Promise<Plan> {
    return this.#plan(`end of a step${nameOf(extras)}`, () => recordRow(this.model, this.size, extras));
  }

  blend(): Promise<Plan> {
    return this.#plan("blend", () => recordBlend(this.latentShape));
  }

  resample(options: Parameters<typeof recordResample>[1]): Promise<Plan> {
    return this.#plan(`resample ${options.from} ${options.taps}`, () => recordResample(this.latentShape, options));
  }

  preview(of: "latents" | "history"): Promise<Plan> {
    return this.#plan(`preview of ${of}`, () => recordPreview(this.latentShape, of));
  }

  decode(): Promise<Plan> {
    return this.#plan("decode", () => this.#fit(recordDecode), []);
  }

  #fit(stage: typeof recordEncode): Recorder {
    return fit(this.model, this.size, (options) => stage(this.model, this.size, options)).recorder;
  }

  /** Where hidden states of so many halves of guidance are kept between steps; for one of several parts, by its number. */
  #cache(halves: 1 | 2, part?: number): State {
    const name = `cache of ${part === undefined ? `steps ${halves}` : `part ${part}`}`;
    const cache = this.#caches.get(name) ??
      new State(this.#name(name), this.model, { deep: cacheBytes(this.model, this.size, halves) });
    this.#caches.set(name, cache);
    return cache;
  }

  /** A stage's plan; `states` are what it reads or leaves for others. */
  #plan(name: string, recorder: () => Recorder, states: readonly State[] = [this.#state]): Promise<Plan> {
    let stage = this.#stages.get(name);
    if (!stage) {
      stage = new Stage(this.#name(name), this.model, states, recorder());
      this.#stages.set(name, stage);
    }
    return stage.plan();
  }

  /** Tokens of one chunk. */
  get #tokens(): number {
    return this.model.textEncoder.config.max_position_embeddings;
  }

  #ofLength(tokens: number): string {
    return tokens === this.#tokens ? "" : ` of ${tokens} tokens`;
  }

  #name(stage: string): string {
    const { images, height, width, tiling, tokenMerging } = this.size;
    const way = `${tiling ? ", tiling" : ""}${tokenMerging ? `, merging ${tokenMerging}` : ""}`;
    return `${this.model.name} ${stage}, ${images > 1 ? `${images} of ` : ""}${width}x${height}${way}`;
  }

  /** Frees the state and every plan. */
  [Symbol.dispose](): void {
    for (const stage of this.#stages.values()) stage.evict();
    for (const cache of this.#caches.values()) cache.evict();
    this.#state.evict();
  }
}

function nameOf({ guides, masks, cache }: StepExtras): string {
  return `${guides ? " guiding" : ""}${masks ? " masked" : ""}${cache ? ` ${cache}s cache` : ""}`;
}
