/** Tensors of the references: float64, row-major, no padding. */
import { elements, type Shape } from "../../src/tensor/shape.ts";

/** Numbers in a shape. */
export interface Tensor {
  readonly shape: Shape;
  readonly data: Float64Array;
}

/** A tensor of these numbers. */
export function tensor(shape: Shape, numbers: ArrayLike<number>): Tensor {
  if (numbers.length !== elements(shape)) throw new RangeError(`${numbers.length} numbers for [${shape}]`);
  return { shape, data: Float64Array.from(numbers) };
}

/** Zeros, to be filled. */
export function zeros(shape: Shape): Tensor {
  return { shape, data: new Float64Array(elements(shape)) };
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
