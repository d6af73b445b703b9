/**
 * 3×3 convolutions by Winograd's minimal filtering, F(2×2, 3×3): 16 multiplications where the plain sum takes 36 (Lavin and
 * Gray 2016, "Fast Algorithms for Convolutional Neural Networks", section 4.1). Windows of 4×4 pixels and the weights are
 * transformed, each of the 16 positions is a matmul of its own, and the products are transformed to 2×2 outputs. A picture
 * is taken in parts of so many tiles that their transforms stay in a processor's cache. Transforms and products are stored
 * in halves: inputs up to 16 thousand and outputs up to 60 thousand are within their range, as published models stay in f16.
 */
import finishedSource from "../../kernels/lib/finished.wgsl" with { type: "text" };
import halvesSource from "../../kernels/lib/halves.wgsl" with { type: "text" };
import octetF16 from "../../kernels/lib/octet_f16.wgsl" with { type: "text" };
import octetF32 from "../../kernels/lib/octet_f32.wgsl" with { type: "text" };
import windowSource from "../../kernels/lib/window.wgsl" with { type: "text" };
import inputSource from "../../kernels/winograd_input.wgsl" with { type: "text" };
import outputSource from "../../kernels/winograd_output.wgsl" with { type: "text" };
import { type Constants, Kernel } from "../gpu/kernel.ts";
import { type Dispatch, dispatchOf, type Parameter, spread, Storage, Value, vec4s } from "../graph/graph.ts";
import { WORKGROUP } from "./elementwise.ts";
import { matmulSets, type Picture } from "./matmul.ts";

const inputKernels = {
  f32: new Kernel("winograd_input f32", windowSource + halvesSource + octetF32 + inputSource),
  f16: new Kernel("winograd_input", windowSource + halvesSource + octetF16 + inputSource),
};
const outputKernel = new Kernel("winograd_output", finishedSource + halvesSource + octetF16 + outputSource);

/** All but the matmuls between them. */
export const winogradKernels: readonly Kernel[] = [...Object.values(inputKernels), outputKernel];

/** Positions of a tile: 4×4. */
const positions = 16;
/** Bytes of the transformed windows, or products, of the tiles that are taken together. */
const partBytes = 8 << 20;

/** What a convolution reads and how large its output is; the full picture is the stored one or its enlargement. */
export interface Windows extends Omit<Picture, "kernelWidth" | "taps" | "stride"> {
  /** Beyond an edge lies the opposite one, not zeros. */
  wraps: boolean;
}

/**
 * Convolves `x` [images, height, width, in] with `weight` [out, in, 3, 3], which {@link takesWinograd}; one dispatch until
 * it is fused, so that what is added to it fuses with the whole.
 */
export function winograd(
  x: Value,
  weight: Parameter,
  bias: Parameter | undefined,
  { height: inHeight, width: inWidth, outHeight, outWidth, fullHeight, fullWidth, padding, wraps }: Windows,
): Value {
  const [images] = x.shape, [out, inner] = weight.shape, { graph } = x;
  const tilesX = Math.ceil(outWidth / 2), imageTiles = tilesX * Math.ceil(outHeight / 2), tiles = images * imageTiles;
  // Parts of equal size, each position of whole tiles of the matmul, which takes a set of weights for all rows of a tile.
  const most = Math.floor(partBytes / (2 * positions * Math.max(inner, out)) / 32) * 32;
  const setRows = Math.ceil(Math.ceil(tiles / Math.ceil(tiles / Math.max(32, most))) / 32) * 32;
  const picture = { inHeight, inWidth, fullHeight, fullWidth, padding, in4: inner / 4 };
  const isEnlarged = fullHeight !== inHeight || fullWidth !== inWidth;
  const windowed: Constants = {
    ...(wraps && { WRAP: 1 }),
    ...(isEnlarged && { ENLARGED: 1 }),
  };
  const expand = ({ operands: { x, weight, ...added }, constants, shape }: Dispatch): Dispatch[] => {
    const input = x as Value;
    const windows = new Value(graph, [positions, setRows, inner], "f16", new Storage(2 * positions * setRows * inner));
    const products = new Value(graph, [positions, setRows, out], "f16", new Storage(2 * positions * setRows * out));
    const dispatches: Dispatch[] = [];
    for (let tile0 = 0; tile0 < tiles; tile0 += setRows) {
      const part = { tile0, tiles: Math.min(setRows, tiles - tile0), setRows, imageTiles, tilesX };
      dispatches.push(
        dispatchOf(inputKernels[input.dtype as "f32" | "f16"], {
          operands: { x: input, y: windows },
          textures: ["x"],
          constants: windowed,
          shape: { ...part, ...picture },
          workgroups: spread(Math.ceil(part.tiles * inner / 8 / WORKGROUP)),
        }, "y"),
        matmulSets(windows, weight as Parameter, products),
        dispatchOf(outputKernel, {
          operands: { x: products, ...added },
          textures: ["x"],
          constants,
          shape: { ...shape, ...part },
          workgroups: spread(Math.ceil(part.tiles * out / 8 / WORKGROUP)),
        }, "y"),
      );
    }
    return dispatches;
  };
  const output = { shape: [images, outHeight, outWidth, out], dtype: graph.target.hiddenType };
  return graph.record(outputKernel, output, {
    operands: { x, weight, bias, shift: undefined, residual: undefined },
    constants: { Output: output.dtype },
    shape: { outHeight, outWidth, out4: vec4s(output.shape), shiftRows: 1 },
    workgroups: [1], // until it is expanded
    flops: 2 * 9 * images * outHeight * outWidth * inner * out,
    expand,
  });
}
