/** Two values side by side along the channels. */
import source from "../../kernels/concat.wgsl" with { type: "text" };
import { Kernel } from "../gpu/kernel.ts";
import { rowsOf, spread, type Value, vec4s } from "../graph/graph.ts";
import { formatShape, sameShape } from "../tensor/shape.ts";
import { WORKGROUP } from "./elementwise.ts";

const kernel = new Kernel("concat", source);

/** [..., a's channels + b's channels]. */
export function concat(a: Value, b: Value): Value {
  if (!sameShape(a.shape.slice(0, -1), b.shape.slice(0, -1))) {
    throw new RangeError(
      `Cannot concat ${formatShape(a.shape)} and ${formatShape(b.shape)}: all but the last must agree`,
    );
  }
  if (a.dtype !== b.dtype) throw new RangeError(`Cannot concat ${a.dtype} and ${b.dtype}`);
  const [aChannels, bChannels] = [a.shape.at(-1)!, b.shape.at(-1)!];
  const shape = [...a.shape.slice(0, -1), aChannels + bChannels];
  const unit = aChannels % 4 || bChannels % 4 ? 1 : 4; // scalars an Element
  const yStride = vec4s(shape) * 4 / unit, size = rowsOf(shape) * yStride;
  return a.graph.record(kernel, { shape, dtype: a.dtype }, {
    operands: { a, b },
    constants: { Element: unit === 4 ? `vec4<${a.dtype}>` : a.dtype },
    shape: {
      size,
      a: aChannels / unit,
      aStride: vec4s(a.shape) * 4 / unit,
      b: bChannels / unit,
      bStride: vec4s(b.shape) * 4 / unit,
      yStride,
    },
    workgroups: spread(Math.ceil(size / WORKGROUP)),
  });
}
