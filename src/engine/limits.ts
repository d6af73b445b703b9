/** What sizes a device can run: found by recording the plans, which allocates nothing. */
import {
  type CanvasSize,
  fit,
  type Need,
  needOf,
  recordDecode,
  recordEncode,
  recordStart,
  recordText,
  sharedBytes,
} from "./canvas.ts";
import type { StableDiffusion } from "./model.ts";
import type { ModelInfo } from "./protocol.ts";
import { overBudget } from "./residency.ts";
import { cacheBytes } from "./step_cache.ts";
import { recordStep } from "./step_stages.ts";

/** Largest side, in pixels, whatever the memory: pictures beyond are not what these models make. */
const largestSide = 2048;
/** Sides are searched in steps of this many pixels. */
const sideStep = 64;

/** The stages that a picture of a size may need, each alone, by what a sentence calls them. */
function* needs(
  model: StableDiffusion,
  height: number,
  width: number,
  images = 1,
): Generator<Need & { stage: string }> {
  const size: CanvasSize = { images, height, width }, one = { ...size, images: 1 };
  // However many are made together, text is read and pictures are decoded by the stages of one, beside the state of all.
  const beside = ({ bytes, problem }: Need): Need => {
    return { bytes: bytes - sharedBytes(model, one) + sharedBytes(model, size), problem };
  };
  yield { stage: "the U-Net's step", ...needOf(model, size, recordStep(model, size, { halves: 2 })) };
  const decoder = fit(model, one, (options) => recordDecode(model, one, options)).need;
  yield { stage: "the VAE's decoder", ...beside(decoder) };
  yield { stage: "the VAE's encoder", ...fit(model, size, (options) => recordEncode(model, size, options)).need };
  yield { stage: "the start", ...needOf(model, size, recordStart(model, size, { fromImage: true })) };
  yield { stage: "the text encoder", ...beside(needOf(model, one, recordText(model, { sequences: 2 }))) };
}

/** Bytes of device memory without which no picture of this size is made: the largest stage's. */
export function neededBytes(
  model: StableDiffusion,
  { height, width }: { height: number; width: number },
): number {
  return Math.max(...Array.from(needs(model, height, width), ({ bytes }) => bytes));
}

/**
 * Why a picture of this size, or so many at once, cannot be made, or undefined: a kernel would loop or dispatch beyond
 * what the driver runs, a value is larger than the device binds, or a stage would pass the memory budget even alone and in bands.
 */
export function whyTooLarge(model: StableDiffusion, height: number, width: number, images = 1): string | undefined {
  const { budget } = model.backend.residency;
  for (const { stage, bytes, problem } of needs(model, height, width, images)) {
    if (problem) return problem;
    if (bytes > budget) return `${stage} ${overBudget(bytes, budget)}`;
  }
}

/** What the memory of steps depends on beside the size of pictures. */
export interface StepLength {
  /** Tokens of the longest prompt. */
  tokens: number;
  /** Calls of the U-Net where a step takes several, else 0. */
  parts: number;
  /** Whether each call's hidden states are kept between steps. */
  cached?: boolean;
}

/** Why steps of this length cannot be run for pictures of this size, or undefined: as {@link whyTooLarge}. */
export function whyTooLong(
  model: StableDiffusion,
  size: CanvasSize,
  { tokens, parts, cached = false }: StepLength,
): string | undefined {
  const { budget } = model.backend.residency;
  const step = recordStep(model, size, { halves: 2, tokens }, cached ? { cache: "keep" } : {});
  const need = needOf(model, size, step), bytes = need.bytes + (cached ? parts * cacheBytes(model, size, 1) : 0);
  return need.problem ?? (bytes > budget ? `the U-Net's step ${overBudget(bytes, budget)}` : undefined);
}

/** The largest square that {@link whyTooLarge} lets through, by bisection; no pixels where not the least does. */
export function sizeLimits(model: StableDiffusion): ModelInfo["limits"] {
  const side = sideStep * largestOf(largestSide / sideStep, (count) => [count * sideStep, count * sideStep], model);
  return { maxSide: largestSide, maxPixels: side ** 2, multiple: model.vae.scale };
}

/** The largest size that is made and about as wide to its height as this one, or undefined where there is none. */
export function largestOfShape(
  model: StableDiffusion,
  height: number,
  width: number,
): { height: number; width: number } | undefined {
  const multiple = model.vae.scale, longest = Math.min(largestSide, Math.max(height, width));
  const scaled = (count: number): [height: number, width: number] => {
    const shrink = count * multiple / Math.max(height, width);
    return [height, width].map((side) => Math.max(1, Math.round(side * shrink / multiple)) * multiple) as [
      number,
      number,
    ];
  };
  const count = largestOf(Math.floor(longest / multiple), scaled, model);
  if (count === 0) return undefined;
  const [most, wide] = scaled(count);
  return { height: most, width: wide };
}

/** The largest count up to `most` whose size {@link whyTooLarge} lets through, by bisection; 0 where not even 1 does. */
function largestOf(
  most: number,
  sizeOf: (count: number) => [height: number, width: number],
  model: StableDiffusion,
): number {
  let fits = 0, tooLarge = most + 1;
  while (tooLarge - fits > 1) {
    const middle = fits + tooLarge >> 1;
    if (whyTooLarge(model, ...sizeOf(middle))) tooLarge = middle;
    else fits = middle;
  }
  return fits;
}
