/** Everything one picture size needs on the GPU: state that the stages share, and a plan a stage, made when first used. */
import { Graph, storageBytes } from "../graph/graph.ts";
import { createStorage, freeze, type Plan } from "../graph/plan.ts";
import { advance, ROW_LENGTH, scaleLatents, startLatents } from "../ops/latents.ts";
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

/**
 * The stages of a picture. Named values of each plan are documented where it is recorded; `context`, `latents`, `noise`
 * and `posterior` are one buffer in all of them.
 */
export class Canvas implements Disposable {
  readonly #plans = new Map<string, Plan>();
  readonly #shared: Record<string, GPUBuffer>;
  readonly #latents: readonly [number, number, number, number];

  constructor(readonly model: StableDiffusion, readonly size: CanvasSize) {
    const { images, height, width } = size, { device, precision } = model.backend;
    const channels = model.vae.config.latent_channels;
    this.#latents = [images, height / model.vae.scale, width / model.vae.scale, channels];
    const { hidden_size, max_position_embeddings } = model.textEncoder.config;
    const f32 = (label: string, shape: readonly number[]) => createStorage(device, label, storageBytes(shape, "f32"));
    this.#shared = {
      context: createStorage(
        device,
        "context",
        storageBytes([2 * images, max_position_embeddings, hidden_size], precision),
      ),
      latents: f32("latents", this.#latents),
      history: f32("history", [4, ...this.#latents]),
      noise: f32("noise", this.#latents),
      posterior: f32("posterior", this.#latents),
    };
  }

  /** [images, latent height, latent width, channels]. */
  get latentShape(): readonly [number, number, number, number] {
    return this.#latents;
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

  /** Tokens `ids` [halves · images, tokens, 1] to `context`; the unconditional half first where there are two. */
  text(halves: 1 | 2): Plan {
    return this.#plan(`text ${halves}`, (graph) => {
      const { textEncoder } = this.model;
      const ids = graph.input("ids", [halves * this.size.images, textEncoder.config.max_position_embeddings, 1], "u32");
      graph.keep("context", textEncoder.forward(ids));
    });
  }

  /** A picture `image` [1, height, width, 3] in [-1, 1] to the `moments` of its latents. */
  encode(): Plan {
    return this.#plan("encode", (graph) => {
      const { vae, backend } = this.model;
      const image = graph.input(
        "image",
        [1, this.size.height, this.size.width, vae.config.in_channels],
        backend.precision,
      );
      graph.keep("moments", vae.encode(image));
    });
  }

  /** `noise`, and with a picture `posterior` and the moments, to `latents`; `start` as {@link startLatents} reads it. */
  start({ fromImage }: { fromImage: boolean }): Plan {
    const encoded = fromImage ? this.encode() : undefined;
    const shared: Record<string, GPUBuffer> = encoded ? { moments: encoded.buffer("moments") } : {};
    return this.#plan(fromImage ? "start from image" : "start", (graph) => {
      const latents = graph.input("latents", this.#latents, "f32");
      const noise = graph.input("noise", this.#latents, "f32");
      const start = graph.input("start", [4], "f32");
      const moments = encoded &&
        graph.input("moments", encoded.named.get("moments")!.value.shape, this.model.backend.precision);
      const posterior = encoded && graph.input("posterior", this.#latents, "f32");
      startLatents({ latents, noise, start, moments, posterior });
    }, shared);
  }

  /** One U-Net call and sampler row: `timestep` (its projection), `row`, `noise`, `condition` for consistency models. */
  step(halves: 1 | 2): Plan {
    return this.#plan(`step ${halves}`, (graph) => {
      const { unet, textEncoder, backend: { precision: dtype } } = this.model;
      const { hidden_size, max_position_embeddings } = textEncoder.config;
      const latents = graph.input("latents", this.#latents, "f32");
      const history = graph.input("history", [4, ...this.#latents], "f32");
      const noise = graph.input("noise", this.#latents, "f32");
      const row = graph.input("row", [ROW_LENGTH], "f32");
      const context = graph.input("context", [halves * this.size.images, max_position_embeddings, hidden_size], dtype);
      const timestep = graph.input("timestep", [1, unet.config.block_out_channels[0]], dtype);
      const { time_cond_proj_dim } = unet.config;
      const condition = time_cond_proj_dim ? graph.input("condition", [1, time_cond_proj_dim], dtype) : undefined;
      const sample = scaleLatents(latents, row, { copies: halves, dtype });
      const prediction = unet.forward(sample, timestep, context, condition);
      advance({ latents, history, prediction, noise, row });
    });
  }

  /** Latents `code` [1, …] of one picture to `image` [1, height, width, 3] in [-1, 1] and the `scanlines` of its PNG. */
  decode(): Plan {
    return this.#plan("decode", (graph) => {
      const { vae, backend } = this.model;
      const code = graph.input("code", [1, ...this.#latents.slice(1)], "f32");
      const image = vae.decode(scale(code, 1 / vae.config.scaling_factor, backend.precision));
      graph.keep("image", image);
      graph.keep("scanlines", filterScanlines(toPixels(image)));
    });
  }

  #plan(name: string, record: (graph: Graph) => void, shared?: Record<string, GPUBuffer>): Plan {
    let plan = this.#plans.get(name);
    if (!plan) {
      const { device, target, vaeTarget } = this.model.backend;
      const graph = new Graph(name === "encode" || name === "decode" ? vaeTarget : target);
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
