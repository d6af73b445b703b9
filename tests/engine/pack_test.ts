import { deepStrictEqual } from "node:assert/strict";
import { packFloats, packPairs } from "../../src/engine/pack.ts";
import { elements, type Shape } from "../../src/tensor/shape.ts";
import { inTurn, repackMatmul } from "../reference/repack.ts";

/** A weight's reference packing [tap, in, out] as [tap, in / 2, out4], a texel of two rows' 4 columns. */
function pairsOf(weight: Shape, halves: Uint16Array): number[] {
  const { data, shape: [taps, inner, out] } = repackMatmul({ shape: [...weight], data: Float64Array.from(halves) });
  const pairs: number[] = [];
  for (let row = 0; row < taps * inner; row += 2) {
    for (let column = 0; column < out; column += 4) {
      for (const each of [row, row + 1]) pairs.push(...data.subarray(each * out + column, each * out + column + 4));
    }
  }
  return pairs;
}

const shapes = [[4, 8], [3, 8, 3, 3], [68, 24], [132, 16, 3, 3], [70, 8, 2, 3], [4, 136, 1, 1], [257, 40]];

Deno.test("halves are packed in pairs whatever their bits, out padded with zeros", () => {
  for (const shape of shapes) {
    const [out, inner, ...rest] = shape, taps = elements(rest), out4 = Math.ceil(out / 4);
    const halves = Uint16Array.from({ length: elements(shape) }, (_, i) => i * 40503);
    const target = new Uint32Array(taps * inner / 2 * out4 * 4).fill(0xdeadbeef);
    packPairs(halves, target, { row0: 0, rows: out, inner, taps, out4 });
    deepStrictEqual([...new Uint16Array(target.buffer)], pairsOf(shape, halves), `[${shape}]`);
  }
});

Deno.test("rows that come in pieces are packed to the same words", () => {
  for (const shape of shapes) {
    const [out, inner, ...rest] = shape, taps = elements(rest), out4 = Math.ceil(out / 4), width = inner * taps;
    const halves = Uint16Array.from({ length: elements(shape) }, (_, i) => i * 40503);
    for (const step of [4, 64]) {
      const target = new Uint32Array(taps * inner / 2 * out4 * 4);
      for (let row0 = 0; row0 < out; row0 += step) {
        const rows = Math.min(step, out - row0), piece = halves.subarray(row0 * width, (row0 + rows) * width);
        packPairs(piece, target, { row0, rows, inner, taps, out4 });
      }
      deepStrictEqual([...new Uint16Array(target.buffer)], pairsOf(shape, halves), `[${shape}] by ${step}`);
    }
  }
});

Deno.test("halves are packed as floats, in and out padded with zeros, whole and in pieces", () => {
  for (const shape of [...shapes, [3, 5], [5, 3, 3, 3], [70, 9], [9, 6, 2, 3]]) {
    const [out, inner, ...rest] = shape, taps = elements(rest), out4 = Math.ceil(out / 4), width = inner * taps;
    const halves = Float16Array.from({ length: elements(shape) }, (_, i) => Math.sin(i) * 2 ** (i % 30 - 20));
    const expected = repackMatmul({ shape: [...shape], data: Float64Array.from(halves) }).data;
    for (const step of [4, 64, 2 ** 20]) {
      const target = new Float32Array(expected.length).fill(NaN);
      for (let row0 = 0; row0 < out; row0 += step) {
        const rows = Math.min(step, out - row0), piece = halves.subarray(row0 * width, (row0 + rows) * width);
        packFloats(piece, target, { row0, rows, inner, taps, out4 });
      }
      deepStrictEqual([...target], [...expected], `[${shape}] by ${step}`);
    }
  }
});

Deno.test("rows of values and of their gates are packed in turn, in pairs and as floats, whole and in pieces", () => {
  for (const shape of [[8, 8], [24, 16], [136, 40], [520, 24]]) {
    const [out, inner] = shape, out4 = out / 4, common = { inner, taps: 1, out4, isGated: true };
    const halves = Uint16Array.from({ length: out * inner }, (_, i) => i % 30000);
    const turned = inTurn({ shape, data: Float64Array.from(halves) });
    const floats = new Float16Array(halves.buffer), singles = inTurn({ shape, data: Float64Array.from(floats) });
    for (const step of [4, 20, 2 ** 20]) {
      const pairs = new Uint32Array(inner / 2 * out4 * 4), target = new Float32Array(inner * out);
      for (let row0 = 0; row0 < out; row0 += step) {
        const rows = Math.min(step, out - row0), range = [row0 * inner, (row0 + rows) * inner];
        packPairs(halves.subarray(...range), pairs, { ...common, row0, rows });
        packFloats(floats.subarray(...range), target, { ...common, row0, rows });
      }
      const expected = pairsOf(shape, Uint16Array.from(turned.data));
      deepStrictEqual([...new Uint16Array(pairs.buffer)], expected, `[${shape}] by ${step}`);
      deepStrictEqual([...target], [...repackMatmul(singles).data], `[${shape}] by ${step}`);
    }
  }
});
