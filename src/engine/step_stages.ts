/** How a step is recorded: one call of the U-Net and the sampler's row, or several calls that are put together before it. */
import type { Graph, Value } from "../graph/graph.ts";
import { concat } from "../ops/concat.ts";
import { guide, GUIDE_LENGTH } from "../ops/guide.ts";
import { advance, compose, HISTORY_SLOTS, ROW_LENGTH, scaleLatents } from "../ops/latents.ts";
import type { StableDiffusion } from "./model.ts";
import { type CanvasSize, latentShape, type Recorder } from "./recorder.ts";
import { cacheDepth, type CacheUse } from "./step_cache.ts";

/** Length of the contexts of a step, beside how many halves of guidance run. */
export interface StepStage {
  halves: 1 | 2;
  /** Those of one chunk where absent. */
  tokens?: number;
}

/** What a step does beside U-Net calls, guidance by its scale and a sampler row. */
export interface StepExtras {
  /** Rescales or thresholds, by the operand `options` of ops/guide.ts. */
  guides?: boolean;
  /** Keeps predictions to `initial` where `mask` is 0. */
  masks?: boolean;
  /** What the U-Net does with `deep`, its hidden states at a cut; it has none where absent. */
  cache?: CacheUse;
}

/**
 * One U-Net call and sampler row: `timestep` (its projection), `row`, `noise`, `condition` for consistency models, `extra`
 * for those that read more than latents, `options` for guidance of another kind.
 */
export function recordStep(
  model: StableDiffusion,
  size: CanvasSize,
  stage: StepStage,
  extras: StepExtras = {},
): Recorder {
  return {
    network: "unet",
    wraps: size.tiling,
    tokenMerging: size.tokenMerging,
    record(graph) {
      const latents = named(graph, "latents", latentShape(model, size));
      finishStep(graph, { latents, prediction: predict(graph, { model, size, stage, cache: extras.cache }) }, extras);
    },
  };
}

/**
 * One U-Net call of several in a step, for prompts that are composed or not as long as the negative one: its output's share
 * of `prediction` [2 · images, …], by `shares` as {@link compose} reads them.
 */
export function recordPart(model: StableDiffusion, size: CanvasSize, tokens: number, cache?: CacheUse): Recorder {
  const [images, ...shape] = latentShape(model, size);
  return {
    network: "unet",
    wraps: size.tiling,
    tokenMerging: size.tokenMerging,
    record(graph) {
      const prediction = graph.input("prediction", [2 * images, ...shape], "f32");
      const shares = graph.input("shares", [4], "f32");
      const output = predict(graph, { model, size, stage: { halves: 1, tokens }, cache });
      compose({ prediction, output, shares });
    },
  };
}

/** The sampler row of a step whose `prediction` has been put together by parts. */
export function recordRow(model: StableDiffusion, size: CanvasSize, extras: StepExtras = {}): Recorder {
  const [images, ...shape] = latentShape(model, size);
  return {
    record(graph) {
      const latents = named(graph, "latents", [images, ...shape]);
      finishStep(graph, { latents, prediction: named(graph, "prediction", [2 * images, ...shape]) }, extras);
    },
  };
}

/** The U-Net's output for the latents as `row` scales them, once for each half. */
function predict(
  graph: Graph,
  { model, size, stage: { halves, tokens }, cache }: {
    model: StableDiffusion;
    size: CanvasSize;
    stage: StepStage;
    cache?: CacheUse;
  },
): Value {
  const { unet, textEncoder, backend: { precision: dtype } } = model, { time_cond_proj_dim, in_channels } = unet.config;
  const { hidden_size, max_position_embeddings } = textEncoder.config, shape = latentShape(model, size);
  const latents = named(graph, "latents", shape), row = named(graph, "row", [ROW_LENGTH]);
  const contextShape = [halves * size.images, tokens ?? max_position_embeddings, hidden_size];
  const context = graph.input("context", contextShape, dtype, { steady: true });
  const timestep = graph.input("timestep", [1, unet.config.block_out_channels[0]], dtype);
  const condition = time_cond_proj_dim ? graph.input("condition", [1, time_cond_proj_dim], dtype) : undefined;
  let sample = scaleLatents(latents, row, { copies: halves, dtype });
  if (in_channels > shape[3]) {
    sample = concat(sample, graph.input("extra", [...sample.shape.slice(0, 3), in_channels - shape[3]], dtype));
  }
  if (!cache) return unet.forward(sample, timestep, context, { condition });
  const cut = { depth: cacheDepth, keep: (deep: Value) => graph.keep("deep", deep) };
  const deepShape = unet.deepShape(cacheDepth, sample.shape);
  const deep = cache === "read" ? graph.input("deep", deepShape, graph.target.hiddenType) : undefined;
  return unet.forward(sample, timestep, context, { condition, cut: { ...cut, deep } });
}

/** Guidance and the sampler's row: `prediction` to the next latents. */
function finishStep(
  graph: Graph,
  { latents, prediction }: { latents: Value; prediction: Value },
  { guides = false, masks = false }: StepExtras,
): void {
  const f32 = (name: string, shape: readonly number[]) => named(graph, name, shape), { shape } = latents;
  const history = f32("history", [HISTORY_SLOTS, ...shape]),
    noise = f32("noise", shape),
    row = f32("row", [ROW_LENGTH]);
  if (guides || masks) {
    const inpaint = masks ? { initial: f32("initial", shape), mask: f32("mask", shape) } : undefined;
    prediction = guide({ prediction, latents, row, options: f32("options", [GUIDE_LENGTH]), inpaint });
  }
  advance({ latents, history, prediction, noise, row });
}

/** The graph's input of a name, f32; made where there is none. */
function named(graph: Graph, name: string, shape: readonly number[]): Value {
  return graph.named.get(name) ?? graph.input(name, shape, "f32");
}
