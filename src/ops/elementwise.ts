/** Ops that treat every element alike. */
import addSource from "../../kernels/add.wgsl" with { type: "text" };
import addRowSource from "../../kernels/add_row.wgsl" with { type: "text" };
import geluSource from "../../kernels/lib/gelu.wgsl" with { type: "text" };
import scaleSource from "../../kernels/scale.wgsl" with { type: "text" };
import unarySource from "../../kernels/unary.wgsl" with { type: "text" };
import { Kernel } from "../gpu/kernel.ts";
import { rowsOf, spread, type StorageType, type Value, vec4s } from "../graph/graph.ts";
import { formatShape, sameShape } from "../tensor/shape.ts";

const unaryKernel = new Kernel("unary", geluSource + unarySource);
const addKernel = new Kernel("add", addSource);
const addRowKernel = new Kernel("add_row", addRowSource);
const scaleKernel = new Kernel("scale", scaleSource);

/** Invocations of a workgroup of the kernels that handle one vec4 each. */
export const WORKGROUP = 64;

/** The vec4s a value holds, padding included. */
export function size4(value: Value): number {
  return rowsOf(value.shape) * vec4s(value.shape);
}

function unary(x: Value, FUNCTION: number): Value {
  return x.graph.record(unaryKernel, x, {
    operands: { x },
    constants: { Scalar: x.dtype, FUNCTION },
    shape: { size4: size4(x) },
    workgroups: spread(Math.ceil(size4(x) / WORKGROUP)),
  });
}

/** x · sigmoid(x). */
export function silu(x: Value): Value {
  return unary(x, 0);
}

/** x · Φ(x), the exact GELU. */
export function gelu(x: Value): Value {
  return unary(x, 1);
}

/** x · sigmoid(1.702 x), as OpenAI's CLIP was trained. */
export function quickGelu(x: Value): Value {
  return unary(x, 2);
}

/** The sum of two values of one shape. */
export function add(a: Value, b: Value): Value {
  if (!sameShape(a.shape, b.shape)) {
    throw new RangeError(`Cannot add ${formatShape(a.shape)} and ${formatShape(b.shape)}`);
  }
  const dtype = a.graph.target.hiddenType;
  return a.graph.record(addKernel, { shape: a.shape, dtype }, {
    operands: { a, b },
    constants: { A: a.dtype, B: b.dtype, Output: dtype },
    shape: { size4: size4(a) },
    workgroups: spread(Math.ceil(size4(a) / WORKGROUP)),
  });
}

/** `x` [images, …, channels] plus `row` [images, channels] or [1, channels], the same for every pixel of an image. */
export function addRow(x: Value, row: Value): Value {
  const [images] = row.shape;
  if (row.shape.length !== 2 || row.shape[1] !== x.shape.at(-1) || (images !== 1 && images !== x.shape[0])) {
    throw new RangeError(`Cannot add the rows ${formatShape(row.shape)} to ${formatShape(x.shape)}`);
  }
  return x.graph.record(addRowKernel, x, {
    operands: { x, row },
    constants: { Scalar: x.dtype, Row: row.dtype },
    shape: { size4: size4(x), rowsPerImage: rowsOf(x.shape) / images, channels4: vec4s(x.shape) },
    workgroups: spread(Math.ceil(size4(x) / WORKGROUP)),
  });
}

/** factor · x, from f32 to `dtype`. */
export function scale(x: Value, factor: number, dtype: StorageType): Value {
  return x.graph.record(scaleKernel, { shape: x.shape, dtype }, {
    operands: { x },
    constants: { Scalar: dtype },
    shape: { size4: size4(x), factor },
    workgroups: spread(Math.ceil(size4(x) / WORKGROUP)),
  });
}
