/** What a comparison yields, how errors are measured, and how large they may be. */
import type { Precision } from "../engine/protocol.ts";

/** One output of one case, compared. */
export interface Measure {
  /** The row of the table that it counts in. */
  group: string;
  /** What was compared, where a case has several outputs. */
  what?: string;
  error: number;
  tolerance: number;
}

/** A case that asks for what is not built here; the message is the reason that is shown. */
export class NotHere extends Error {
  override name = "NotHere";
}

/** Errors that each kind of output may have: `relRms()`, unless said otherwise. */
export const TOLERANCES = {
  textEncoder: { f32: 1e-4, f16: 5e-3 },
  unet: { f32: 2e-4, f16: 5e-3 },
  vae: { f32: 2e-4, f16: 5e-3 },
  /** Of whole pipelines. */
  latents: { f32: 1e-3, f16: 4e-2 },
  /** Mean difference in levels of 255. */
  pngMean: { f32: 0.2, f16: 2 },
  /** Largest difference in levels of 255. */
  pngLargest: { f32: 3, f16: 16 },
  /** `largestDifference()`; in f32 whatever the precision. */
  schedulers: 1e-4,
  /** Differing ids, hashes or normals. */
  exact: 0,
  /** Normals of torch's generator: its vector logarithm, sine and cosine differ from the scalar ones by 2.4e-7. */
  normals: 5e-7,
} as const;

/** Pipelines whose latents amplify rounding: also another thread count moves the reference itself, by 3e-4. */
const AMPLIFYING: Readonly<Record<string, number>> = { "img2img-03": 5e-3, "txt2img-dpmpp-2m-sde": 5e-3 };

/** What the final latents of the pipeline case `name` may be off by. */
export function latentsTolerance(name: string, precision: Precision): number {
  return Math.max(TOLERANCES.latents[precision], AMPLIFYING[name] ?? 0);
}

/** rms(found − golden) / rms(golden). Throws a RangeError where there are not as many numbers. */
export function relRms(found: Float32Array, golden: Float32Array): number {
  checkLengths(found, golden);
  let difference = 0, size = 0;
  for (let i = 0; i < golden.length; i++) {
    difference += (found[i] - golden[i]) ** 2;
    size += golden[i] ** 2;
  }
  return difference === 0 ? 0 : Math.sqrt(difference / size);
}

/** The largest difference, in units of the largest golden value. Throws a RangeError where counts differ. */
export function largestDifference(found: Float32Array, golden: Float32Array): number {
  checkLengths(found, golden);
  let difference = 0, size = 0;
  for (let i = 0; i < golden.length; i++) {
    difference = Math.max(difference, Math.abs(found[i] - golden[i])); // a NaN stays
    size = Math.max(size, Math.abs(golden[i]));
  }
  return difference === 0 ? 0 : difference / size;
}

/** How many numbers differ. */
export function differing(found: ArrayLike<number>, golden: ArrayLike<number>): number {
  let count = Math.abs(found.length - golden.length);
  for (let i = 0; i < Math.min(found.length, golden.length); i++) if (found[i] !== golden[i]) count++;
  return count;
}

function checkLengths(found: ArrayLike<number>, golden: ArrayLike<number>): void {
  if (found.length !== golden.length) {
    throw new RangeError(`Cannot compare ${found.length} numbers with a golden of ${golden.length}`);
  }
}
