/** Everything one picture size needs on the GPU: state that the stages share, and a plan a stage, made when first used. */
import { Graph, storageBytes } from "../graph/graph.ts";
import { createStorage, freeze, type Plan } from "../graph/plan.ts";
import { advance, HISTORY_SLOTS, ROW_LENGTH, scaleLatents, startLatents } from "../ops/latents.ts";
import { scale } from "../ops/elementwise.ts";
import { filterScanlines, toPixels } from "../ops/pixels.ts";
import type { StableDiffusion } from "./model.ts";

/** What plans are recorded for. */
export interface CanvasSize {
  /** Pictures made together. */
  images: number;
  /** Pixels; multiples of the VAE's scale. */
  height: number;
  width: number;
}

/** How one stage is recorded into a graph. */
export interface Recorder {
  /** Whether the graph is one of the VAE's, which store their hidden states otherwise. */
  isVAE: boolean;
  record(graph: Graph): void;
}

/** [images, latent height, latent width, channels]. */
export function latentShape(
  { vae }: StableDiffusion,
  { images, height, width }: CanvasSize,
): [number, number, number, number] {
  return [images, height / vae.scale, width / vae.scale, vae.config.latent_channels];
}

/** Tokens `ids` [halves · images, tokens, 1] to `context`; the unconditional half first where there are two. */
export function recordText({ textEncoder }: StableDiffusion, { images }: CanvasSize, halves: 1 | 2): Recorder {
  return {
    isVAE: false,
    record(graph) {
      const ids = graph.input("ids", [halves * images, textEncoder.config.max_position_embeddings, 1], "u32");
      graph.keep("context", textEncoder.forward(ids));
    },
  };
}

/** A picture `image` [1, height, width, 3] in [-1, 1] to the `moments` of its latents. */
export function recordEncode({ vae, backend }: StableDiffusion, { height, width }: CanvasSize): Recorder {
  return {
    isVAE: true,
    record(graph) {
      const image = graph.input("image", [1, height, width, vae.config.in_channels], backend.precision);
      graph.keep("moments", vae.encode(image));
    },
  };
}

/** `noise`, and from a picture `posterior` and its `moments`, to `latents`; `start` as {@link startLatents} reads it. */
export function recordStart(model: StableDiffusion, size: CanvasSize, { fromImage }: { fromImage: boolean }): Recorder {
  const shape = latentShape(model, size), [, height, width, channels] = shape;
  return {
    isVAE: false,
    record(graph) {
      const f32 = (name: string, shape: readonly number[]) => graph.input(name, shape, "f32");
      const [latents, noise, start] = [f32("latents", shape), f32("noise", shape), f32("start", [4])];
      if (!fromImage) return startLatents({ latents, noise, start });
      const moments = graph.input("moments", [1, height, width, 2 * channels], model.backend.vaeTarget.hiddenType);
      startLatents({ latents, noise, start, moments, posterior: f32("posterior", shape) });
    },
  };
}

/** One U-Net call and sampler row: `timestep` (its projection), `row`, `noise`, `condition` for consistency models. */
export function recordStep(model: StableDiffusion, size: CanvasSize, halves: 1 | 2): Recorder {
  const { unet, textEncoder, backend: { precision: dtype } } = model, shape = latentShape(model, size);
  const { hidden_size, max_position_embeddings } = textEncoder.config, { time_cond_proj_dim } = unet.config;
  return {
    isVAE: false,
    record(graph) {
      const latents = graph.input("latents", shape, "f32");
      const history = graph.input("history", [HISTORY_SLOTS, ...shape], "f32");
      const noise = graph.input("noise", shape, "f32");
      const row = graph.input("row", [ROW_LENGTH], "f32");
      const context = graph.input("context", [halves * size.images, max_position_embeddings, hidden_size], dtype);
      const timestep = graph.input("timestep", [1, unet.config.block_out_channels[0]], dtype);
      const condition = time_cond_proj_dim ? graph.input("condition", [1, time_cond_proj_dim], dtype) : undefined;
      const sample = scaleLatents(latents, row, { copies: halves, dtype });
      const prediction = unet.forward(sample, timestep, context, condition);
      advance({ latents, history, prediction, noise, row });
    },
  };
}

/** Latents `code` [1, …] of one picture to `image` [1, height, width, 3] in [-1, 1] and the `scanlines` of its PNG. */
export function recordDecode(model: StableDiffusion, size: CanvasSize): Recorder {
  const { vae, backend } = model, [, ...shape] = latentShape(model, size);
  return {
    isVAE: true,
    record(graph) {
      const code = graph.input("code", [1, ...shape], "f32");
      const image = vae.decode(scale(code, 1 / vae.config.scaling_factor, backend.precision));
      graph.keep("image", image);
      graph.keep("scanlines", filterScanlines(toPixels(image)));
    },
  };
}

/** The plans of one size; `context`, `latents`, `history`, `noise` and `posterior` are one buffer in all of them. */
export class Canvas implements Disposable {
  readonly #plans = new Map<string, Plan>();
  readonly #shared: Record<string, GPUBuffer>;
  /** [images, latent height, latent width, channels]. */
  readonly latentShape: readonly [number, number, number, number];

  constructor(readonly model: StableDiffusion, readonly size: CanvasSize) {
    const { device, precision } = model.backend;
    this.latentShape = latentShape(model, size);
    const { hidden_size, max_position_embeddings } = model.textEncoder.config;
    const context = storageBytes([2 * size.images, max_position_embeddings, hidden_size], precision);
    const latents = storageBytes(this.latentShape, "f32");
    const bytes = { context, latents, history: HISTORY_SLOTS * latents, noise: latents, posterior: latents };
    this.#shared = Object.fromEntries(
      Object.entries(bytes).map(([name, bytes]) => [name, createStorage(device, name, bytes)]),
    );
  }

  /** The buffer of the latents, f32, their channels padded to whole vec4s. */
  get latents(): GPUBuffer {
    return this.#shared.latents;
  }

  /** Bytes on the GPU besides the weights. */
  get bytes(): number {
    const shared = Object.values(this.#shared).reduce((sum, buffer) => sum + buffer.size, 0);
    return [...this.#plans.values()].reduce((sum, { report }) => sum + report.slotBytes + report.namedBytes, shared);
  }

  text(halves: 1 | 2): Plan {
    return this.#plan(`text ${halves}`, () => recordText(this.model, this.size, halves));
  }

  encode(): Plan {
    return this.#plan("encode", () => recordEncode(this.model, this.size));
  }

  start({ fromImage }: { fromImage: boolean }): Plan {
    const shared: Record<string, GPUBuffer> = fromImage ? { moments: this.encode().buffer("moments") } : {};
    return this.#plan(
      fromImage ? "start from image" : "start",
      () => recordStart(this.model, this.size, { fromImage }),
      shared,
    );
  }

  step(halves: 1 | 2): Plan {
    return this.#plan(`step ${halves}`, () => recordStep(this.model, this.size, halves));
  }

  decode(): Plan {
    return this.#plan("decode", () => recordDecode(this.model, this.size));
  }

  #plan(name: string, recorder: () => Recorder, shared: Record<string, GPUBuffer> = {}): Plan {
    let plan = this.#plans.get(name);
    if (!plan) {
      const { device, target, vaeTarget } = this.model.backend, { isVAE, record } = recorder();
      const graph = new Graph(isVAE ? vaeTarget : target);
      record(graph);
      this.#plans.set(name, plan = freeze(device, graph, { ...this.#shared, ...shared }));
    }
    return plan;
  }

  [Symbol.dispose](): void {
    for (const plan of this.#plans.values()) plan[Symbol.dispose]();
    this.#plans.clear();
    for (const buffer of Object.values(this.#shared)) buffer.destroy();
  }
}
