/** What happens to latents outside the networks: the start, the U-Net's input, one sampler row. All in place, all f32. */
import advanceSource from "../../kernels/advance.wgsl" with { type: "text" };
import composeSource from "../../kernels/compose.wgsl" with { type: "text" };
import scaleLatentsSource from "../../kernels/scale_latents.wgsl" with { type: "text" };
import startSource from "../../kernels/start_latents.wgsl" with { type: "text" };
import { Kernel } from "../gpu/kernel.ts";
import { rowsOf, spread, type StorageType, type Value, vec4s } from "../graph/graph.ts";
import { size4, WORKGROUP } from "./elementwise.ts";

const startKernel = new Kernel("start_latents", startSource);
const scaleKernel = new Kernel("scale_latents", scaleLatentsSource);
const composeKernel = new Kernel("compose", composeSource);
const advanceKernel = new Kernel("advance", advanceSource);

/** Numbers of the `row` operand, in this order; see `Step` in the samplers. */
export const rowFields = [
  "inputScale",
  "guidanceScale",
  "skip",
  "out",
  "clip", // 0: none
  "slot", // of the history, for this row's prediction
  "x",
  "noise",
  "unclipped",
  "saveSlot", // of the history, for the latents before the row; below 0: not saved
  "weight0", // of what stands in each slot of the history
  "weight1",
  "weight2",
  "weight3",
  "weight4",
  "weight5",
  "weight6",
] as const;

/** Length of the `row` operand. */
export const ROW_LENGTH = rowFields.length;

/** Predictions and saved latents that the history holds: PNDM's Runge-Kutta steps need them all. */
export const HISTORY_SLOTS = 7;

/**
 * Sets `latents` [images, height, width, channels] to signal · clean + noise · n; see kernels/start_latents.wgsl.
 * `start` holds signal, noise, scalingFactor and pixels an image. Without `moments` the clean part is 0.
 */
export function startLatents(
  { latents, noise, start, moments, posterior }: {
    latents: Value;
    noise: Value;
    start: Value;
    moments?: Value;
    posterior?: Value;
  },
): void {
  const stride = vec4s(latents.shape) * 4, size = rowsOf(latents.shape) * stride;
  latents.graph.update(startKernel, "latents", {
    operands: { latents, noise, start, moments, posterior },
    constants: { FROM_IMAGE: moments ? 1 : 0, Scalar: moments?.dtype ?? "f32" },
    shape: { size, channels: latents.shape.at(-1)!, stride, momentsStride: moments ? vec4s(moments.shape) * 4 : 0 },
    workgroups: spread(Math.ceil(size / WORKGROUP)),
  });
}

/** [copies · images, height, width, channels]: the latents times the row's inputScale, once for each half of guidance. */
export function scaleLatents(
  latents: Value,
  row: Value,
  { copies, dtype }: { copies: 1 | 2; dtype: StorageType },
): Value {
  const shape = [copies * latents.shape[0], ...latents.shape.slice(1)];
  const total = rowsOf(shape) * vec4s(shape);
  return latents.graph.record(scaleKernel, { shape, dtype }, {
    operands: { latents, row },
    constants: { Scalar: dtype },
    shape: { size4: total, latents4: size4(latents) },
    workgroups: spread(Math.ceil(total / WORKGROUP)),
  });
}

/** Applies one sampler row to `latents` in place; `history` is [HISTORY_SLOTS, …latents' shape], `prediction` the U-Net's output. */
export function advance(
  { latents, history, prediction, noise, row }: {
    latents: Value;
    history: Value;
    prediction: Value;
    noise: Value;
    row: Value;
  },
): void {
  latents.graph.update(advanceKernel, "latents", {
    operands: { latents, history, prediction, noise, row },
    constants: { GUIDED: prediction.shape[0] === latents.shape[0] ? 0 : 1, Scalar: prediction.dtype },
    shape: { size4: size4(latents) },
    workgroups: spread(Math.ceil(size4(latents) / WORKGROUP)),
    loops: HISTORY_SLOTS,
  });
}

/**
 * Adds one more `output` of the U-Net [images, …] to `prediction` [2 · images, …], f32, in place: each half becomes keep ·
 * half + add · output. `shares` holds keep and add of the unconditional half, then of the conditional one.
 */
export function compose(
  { prediction, output, shares }: { prediction: Value; output: Value; shares: Value },
): void {
  output.graph.update(composeKernel, "prediction", {
    operands: { prediction, output, shares },
    constants: { Scalar: output.dtype },
    shape: { size4: size4(output) },
    workgroups: spread(Math.ceil(size4(output) / WORKGROUP)),
  });
}
