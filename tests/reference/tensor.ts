/** Tensors of the references: float64, row-major, no padding. */
import { gaussian } from "../../src/tensor/random.ts";
import { elements, type Shape } from "../../src/tensor/shape.ts";

/** Numbers in a shape. */
export interface Tensor {
  readonly shape: Shape;
  readonly data: Float64Array;
}

/** How numbers are stored on the GPU, and so how those drawn for a test are rounded. */
export type Stored = "f32" | "f16";

/** A tensor of these numbers. */
export function tensor(shape: Shape, numbers: ArrayLike<number>): Tensor {
  if (numbers.length !== elements(shape)) throw new RangeError(`${numbers.length} numbers for [${shape}]`);
  return { shape, data: Float64Array.from(numbers) };
}

/** Zeros, to be filled. */
export function zeros(shape: Shape): Tensor {
  return { shape, data: new Float64Array(elements(shape)) };
}

/** Draws normals, each call from the next seed, rounded to what `stored` holds so that rounding is no error of a kernel. */
export function drawer(stored: Stored, seed = 1): (shape: Shape, scale?: number, mean?: number) => Tensor {
  return (shape, scale = 1, mean = 0) => {
    const normals = gaussian({ seed: seed++, rng: "cpu", shape })();
    const numbers = Float64Array.from(normals, (normal) => normal * scale + mean);
    return tensor(shape, stored === "f16" ? new Float16Array(numbers) : new Float32Array(numbers));
  };
}

/** A tensor whose element i is f(i). */
export function fill(shape: Shape, f: (i: number) => number): Tensor {
  return map(zeros(shape), (_, i) => f(i));
}

/** The same numbers through `function_`, one by one. */
export function map(x: Tensor, function_: (x: number, i: number) => number): Tensor {
  return { shape: x.shape, data: x.data.map(function_) };
}

/** How many rows of the last dimension, and how long each is. */
export function rowsAndWidth({ shape }: Tensor): [rows: number, width: number] {
  return [elements(shape.slice(0, -1)), shape.at(-1)!];
}

/** √(Σ (found - expected)² / Σ expected²); where all is expected to be 0, √(Σ found²). */
export function relativeError(found: Tensor, expected: Tensor): number {
  let errors = 0, squares = 0;
  for (const [i, value] of expected.data.entries()) {
    errors += (found.data[i] - value) ** 2;
    squares += value ** 2;
  }
  return Math.sqrt(errors / (squares || 1));
}
