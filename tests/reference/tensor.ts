/** What the references compute with: float64 and plain row-major order, nothing padded. */
import { elements, type Shape } from "../../src/tensor/shape.ts";

/** Numbers of a shape, outermost dimension first. */
export interface Tensor {
  readonly shape: Shape;
  readonly data: Float64Array;
}

/** A tensor of zeros. */
export function zeros(shape: Shape): Tensor {
  return { shape, data: new Float64Array(elements(shape)) };
}

/** A tensor whose element i is f(i). */
export function fill(shape: Shape, f: (i: number) => number): Tensor {
  return { shape, data: zeros(shape).data.map((_, i) => f(i)) };
}

/** f of every element. */
export function map(x: Tensor, f: (value: number, i: number) => number): Tensor {
  return { shape: x.shape, data: x.data.map(f) };
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
