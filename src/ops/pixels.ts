/** From the decoder's floats to the bytes of a PNG. */
import filterSource from "../../kernels/png_filter.wgsl" with { type: "text" };
import pixelsSource from "../../kernels/pixels.wgsl" with { type: "text" };
import { Kernel } from "../gpu/kernel.ts";
import { spread, type Value } from "../graph/graph.ts";
import { WORKGROUP } from "./elementwise.ts";

const pixelsKernel = new Kernel("pixels", pixelsSource);
const filterKernel = new Kernel("png_filter", filterSource);

/** `x` [1, height, width, 3] in [-1, 1] to [1, height, width] packed 8-bit RGB; the width is a multiple of 4. */
export function toPixels(x: Value): Value {
  const [images, height, width] = x.shape;
  if (width % 4) throw new RangeError(`Cannot pack pixels: the width ${width} is no multiple of 4`);
  return x.graph.record(pixelsKernel, { shape: [images, height, width], dtype: "u32" }, {
    operands: { x },
    constants: { Scalar: x.dtype },
    shape: { pixels: images * height * width },
    workgroups: spread(Math.ceil(images * height * width / WORKGROUP)),
  });
}

/** Packed pixels [1, height, width] to PNG scanlines, height · (1 + 3 · width) bytes in whole u32 words. */
export function filterScanlines(pixels: Value): Value {
  const [, height, width] = pixels.shape;
  const bytes = height * (1 + 3 * width), words = Math.ceil(bytes / 4);
  return pixels.graph.record(filterKernel, { shape: [words], dtype: "u32" }, {
    operands: { pixels },
    shape: { width, bytes },
    workgroups: spread(Math.ceil(words / WORKGROUP)),
    loops: 4,
  });
}
