/** Floats to bytes and bytes to PNG scanlines: exact. */
import { filterScanlines, toPixels } from "../../../src/ops/pixels.ts";
import type { Shape } from "../../../src/tensor/shape.ts";
import * as reference from "../../reference/pixels.ts";
import { fill, type Tensor, tensor } from "../../reference/tensor.ts";
import type { Case, Table } from "../case.ts";

const bounds = { f32: 0, f16: 0 };

/** Every level and every half between two, on through both ends of the range. */
const levels = (shape: Shape) => (): Tensor => fill(shape, (i) => Math.fround(2 * ((i % 540 - 12) / 2 / 255) - 1));

const pixelCases = [[1, 1, 4, 3], [1, 5, 12, 3], [1, 23, 8, 3], [1, 17, 40, 3]].map((shape): Case => ({
  name: `[${shape}]`,
  inputs: { x: { shape, stored: "hidden", values: levels(shape) } },
  record: ({ x }) => ({ pixels: toPixels(x) }),
  reference: ({ x }) => ({ pixels: tensor(x.shape.slice(0, -1), reference.packPixels(x)) }),
}));

/** A gradient with noise, so that every one of Paeth's three guesses is taken. */
const picture = (shape: Shape) => (): Tensor =>
  fill(shape, (i) => (Math.imul(i * i + 77, 2654435761) >>> 8) & 0xffffff);

const filterCases = [[1, 1, 4], [1, 2, 4], [1, 3, 8], [1, 7, 12], [1, 13, 100], [1, 64, 64]].map((shape): Case => ({
  name: `[${shape}]`,
  inputs: { pixels: { shape, stored: "u32", values: picture(shape) } },
  record: ({ pixels }) => ({ scanlines: filterScanlines(pixels) }),
  reference: ({ pixels }) => {
    const bytes = reference.paethScanlines(reference.unpackPixels([...pixels.data]), shape[2]);
    const words = new Uint8Array(4 * Math.ceil(bytes.length / 4));
    words.set(bytes);
    return { scanlines: tensor([words.length / 4], new Uint32Array(words.buffer)) };
  },
}));

export const pixelsTable: Table = { op: "toPixels()", bounds, cases: pixelCases };
export const filterTable: Table = { op: "filterScanlines()", bounds, cases: filterCases };
