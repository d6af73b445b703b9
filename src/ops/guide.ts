/** Guidance beyond a weighted difference: rescaled, held below a threshold, kept to a mask. */
import blendSource from "../../kernels/blend_latents.wgsl" with { type: "text" };
import guideSource from "../../kernels/guide.wgsl" with { type: "text" };
import statisticsSource from "../../kernels/guide_statistics.wgsl" with { type: "text" };
import sumSource from "../../kernels/lib/sum_workgroup.wgsl" with { type: "text" };
import { Kernel } from "../gpu/kernel.ts";
import { rowsOf, spread, type Value, vec4s } from "../graph/graph.ts";
import { size4, WORKGROUP } from "./elementwise.ts";

const statisticsKernel = new Kernel("guide_statistics", sumSource + statisticsSource);
const guideKernel = new Kernel("guide", guideSource);
const blendKernel = new Kernel("blend_latents", blendSource);

/** Invocations that look at one image together. */
const LANES = 256;

/**
 * Numbers of the `options` operand, in this order: clean = cleanSkip · latents + cleanOut · output; the share of the
 * conditional half's deviation that the output takes on; the largest magnitude of clean latents, 0 for any; and the
 * percentile (0 to 1) that counts as their magnitude.
 */
export const guideFields = ["cleanSkip", "cleanOut", "rescale", "threshold", "percentile"] as const;

/** Length of the `options` operand. */
export const GUIDE_LENGTH = 8;

/** What {@link guide} works on; `row` as in latents.ts. */
export interface GuideOperands {
  /** The U-Net's output: one image each of `latents`, or the unconditional ones and then the conditional. */
  prediction: Value;
  /** [images, height, width, channels], f32. */
  latents: Value;
  row: Value;
  options: Value;
  /** The picture's latents and 1 where they are repainted, of the latents' shape, f32. */
  inpaint?: { initial: Value; mask: Value };
}

/**
 * The guided output, f32, of the latents' shape:
 *
 * - `rescale` φ > 0 scales it by 1 + φ · (σ(conditional) / σ(guided) − 1), deviations being of a whole image (Lin et al.
 *   2023, section 3.4);
 * - `threshold` T > 0 clamps the clean latents it stands for to their own percentile s where s > T and scales them by T / s
 *   (Saharia et al. 2022, section 2.3, with T for their 1);
 * - `inpaint` sets them to initial + mask · (clean − initial).
 */
export function guide({ prediction, latents, row, options, inpaint }: GuideOperands): Value {
  const { graph } = latents, images = latents.shape[0], stride = 4 * vec4s(latents.shape);
  const isGuided = prediction.shape[0] !== images, size = rowsOf(latents.shape) / images * stride;
  const constants = { GUIDED: isGuided ? 1 : 0, Scalar: prediction.dtype };
  const passes = Math.ceil(size / LANES), tree = Math.log2(LANES);
  const statistics = graph.record(statisticsKernel, { shape: [images, 4], dtype: "f32" }, {
    operands: { prediction, latents, row, options },
    constants: { ...constants, LANES },
    shape: { images, size, channels: latents.shape.at(-1)!, stride },
    workgroups: [images],
    loops: 34 * passes + 31 + 36 * tree,
  });
  return graph.record(guideKernel, { shape: latents.shape, dtype: "f32" }, {
    operands: { prediction, latents, initial: inpaint?.initial, mask: inpaint?.mask, statistics, row, options },
    constants: { ...constants, MASKED: inpaint ? 1 : 0 },
    shape: { size4: size4(latents), image4: size / 4 },
    workgroups: spread(Math.ceil(size4(latents) / WORKGROUP)),
  });
}

/** In place: what the mask does not cover becomes level[0] · initial + level[1] · noise. All of one shape, f32. */
export function blendLatents(
  { latents, initial, noise, mask, level }: {
    latents: Value;
    initial: Value;
    noise: Value;
    mask: Value;
    level: Value;
  },
): void {
  latents.graph.update(blendKernel, "latents", {
    operands: { latents, initial, noise, mask, level },
    shape: { size4: size4(latents) },
    workgroups: spread(Math.ceil(size4(latents) / WORKGROUP)),
  });
}
