import { rowsAndWidth, type Tensor } from "./tensor.ts";

/**
 * From [-1, 1] to 8 bits, halves to the even level. In single precision, as the reference pipeline has it: whether a
 * value lies on a half is decided by these very roundings.
 */
export function level(value: number): number {
  const unit = Math.min(1, Math.max(0, Math.fround(value / 2 + 0.5)));
  const exact = Math.fround(unit * 255), below = Math.floor(exact);
  if (exact - below !== 0.5) return Math.round(exact);
  return below % 2 === 0 ? below : below + 1;
}

/** Rows of `x` [..., 3] as red + 256 · green + 65536 · blue. */
export function packPixels(x: Tensor): number[] {
  const [pixels] = rowsAndWidth(x);
  return Array.from({ length: pixels }, (_, i) => {
    const [red, green, blue] = x.data.subarray(3 * i, 3 * i + 3).values().map(level);
    return red + 256 * green + 65536 * blue;
  });
}

/** The levels of packed pixels, three a pixel. */
export function unpackPixels(packed: readonly number[]): number[] {
  return packed.flatMap((pixel) => [pixel & 255, pixel >> 8 & 255, pixel >> 16 & 255]);
}

/** PNG scanlines (PNG specification, 9.4) of RGB `levels`: the type byte 4, then every byte less its Paeth prediction. */
export function paethScanlines(levels: readonly number[], width: number): number[] {
  const stride = 3 * width, bytes: number[] = [];
  for (let row = 0; row < levels.length / stride; row++) {
    bytes.push(4);
    for (let i = 0; i < stride; i++) {
      const left = i < 3 ? 0 : levels[row * stride + i - 3];
      const above = row === 0 ? 0 : levels[(row - 1) * stride + i];
      const corner = row === 0 || i < 3 ? 0 : levels[(row - 1) * stride + i - 3];
      bytes.push((levels[row * stride + i] - paeth(left, above, corner)) & 255);
    }
  }
  return bytes;
}

/** The nearest of the three to left + above - corner; the first of equals. */
function paeth(left: number, above: number, corner: number): number {
  const estimate = left + above - corner;
  const distances = [left, above, corner].map((level) => Math.abs(estimate - level));
  return [left, above, corner][distances.indexOf(Math.min(...distances))];
}
