/** Seeded Gaussian noise: one seed gives the same noise on every machine. */
import { TorchCpuGenerator } from "./mersenne.ts";
import { TorchCudaGenerator } from "./philox.ts";
import { elements, type Shape } from "./shape.ts";

/** Whose normals a seed gives: torch's on CUDA (`nv`), or torch's on the CPU (`cpu`). */
export type Rng = "nv" | "cpu";

/**
 * The noise of one image: every call gives the next draw of `shape`, row-major as torch lays it out ([channels, height,
 * width] for latents), and continues the stream. Image i of a batch has its own noise, from seed + i.
 * Throws a RangeError where `seed` is not a whole number from 0 to 2⁶⁴ − 1.
 * @example const draw = gaussian({ seed: 42, rng: "cpu", shape: [4, 64, 64] }); const latents = draw();
 */
export function gaussian(
  { seed, rng, shape }: { seed: number | bigint; rng: Rng; shape: Shape },
): () => Float32Array<ArrayBuffer> {
  const generator = generatorOf(rng, checkSeed(seed));
  const count = elements(shape);
  return () => generator.randn(count);
}

/** The seed itself. Throws a RangeError where it is not a whole number from 0 to 2⁶⁴ − 1. */
export function checkSeed(seed: number | bigint): bigint {
  if (typeof seed === "number" && !Number.isSafeInteger(seed) || seed < 0 || seed >= 2n ** 64n) {
    throw new RangeError(`Cannot draw noise with seed ${seed}: use a whole number from 0 to 2^64 - 1`);
  }
  return BigInt(seed);
}

/** The generator that a seed starts. */
export function generatorOf(rng: Rng, seed: bigint): TorchCpuGenerator | TorchCudaGenerator {
  switch (rng) {
    case "nv":
      return new TorchCudaGenerator(seed);
    case "cpu":
      return new TorchCpuGenerator(seed);
    default:
      return rng satisfies never;
  }
}
