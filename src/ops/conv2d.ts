/** Convolutions: as a matmul whose left side is read window by window, or by Winograd's algorithm. */
import type { Constants } from "../gpu/kernel.ts";
import { type Parameter, takesWinograd, type Value } from "../graph/graph.ts";
import { checkChannels, matmul } from "./matmul.ts";
import { winograd } from "./winograd.ts";

/** How `conv2d` moves over its picture. */
export interface ConvolutionOptions {
  stride?: number;
  /** Rows above and columns left of the picture; below and right of it as many, or `paddingAfter`. */
  padding?: number;
  paddingAfter?: number;
  /** Convolve the nearest-neighbour enlargement to this [height, width] without storing it. */
  enlargeTo?: readonly [height: number, width: number];
  /** Beyond an edge lies the opposite one, not zeros; as the graph's target has it where absent. */
  wraps?: boolean;
}

/** 2-D convolution of `x` [images, height, width, in] with `weight` [out, in, kernelHeight, kernelWidth]. */
export function conv2d(
  x: Value,
  weight: Parameter,
  bias: Parameter | undefined,
  { stride = 1, padding = 0, paddingAfter = padding, enlargeTo, wraps = x.graph.target.wraps }: ConvolutionOptions = {},
): Value {
  checkChannels(x, weight);
  const [images, height, width] = x.shape;
  const [out, , kernelHeight = 1, kernelWidth = 1] = weight.shape;
  const [fullHeight, fullWidth] = enlargeTo ?? [height, width];
  const outHeight = Math.floor((fullHeight + padding + paddingAfter - kernelHeight) / stride) + 1;
  const outWidth = Math.floor((fullWidth + padding + paddingAfter - kernelWidth) / stride) + 1;
  const picture = { height, width, outHeight, outWidth, fullHeight, fullWidth };
  const joins = Boolean(wraps) && padding + paddingAfter > 0;
  if (takesWinograd(weight, x.graph.target)) {
    if (stride !== 1) {
      throw new RangeError(`Cannot convolve with a stride of ${stride}: the weight is packed for a stride of 1`);
    }
    return winograd(x, weight, bias, { ...picture, padding, wraps: joins });
  }
  const taps = kernelHeight * kernelWidth;
  const output = { shape: [images, outHeight, outWidth, out], dtype: x.graph.target.hiddenType };
  const constants: Constants = joins ? { WRAP: 1 } : {};
  return matmul(x, weight, bias, output, { ...picture, kernelWidth, taps, stride, padding }, constants);
}
