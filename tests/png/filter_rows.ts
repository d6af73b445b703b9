/** The plain version of the row filter that runs on the GPU: Paeth on every row (PNG specification, section 9.4). */

/** RGB pixels, row by row, to filtered scanlines: the filter type 4 and then width × 3 differences from Paeth's guess. */
export function filterRows(pixels: Uint8Array, width: number): Uint8Array<ArrayBuffer> {
  const bytes = 3 * width;
  const height = pixels.length / bytes;
  const rows = new Uint8Array(height * (1 + bytes));
  for (let y = 0; y < height; y++) {
    rows[y * (1 + bytes)] = 4;
    for (let i = 0; i < bytes; i++) {
      const left = i >= 3 ? pixels[y * bytes + i - 3] : 0;
      const up = y > 0 ? pixels[(y - 1) * bytes + i] : 0;
      const upLeft = i >= 3 && y > 0 ? pixels[(y - 1) * bytes + i - 3] : 0;
      rows[y * (1 + bytes) + 1 + i] = pixels[y * bytes + i] - paeth(left, up, upLeft);
    }
  }
  return rows;
}

/** Whichever neighbour is nearest to left + up − upLeft; ties go to left, then up. */
function paeth(left: number, up: number, upLeft: number): number {
  const guess = left + up - upLeft;
  const [toLeft, toUp, toUpLeft] = [left, up, upLeft].map((neighbour) => Math.abs(guess - neighbour));
  if (toLeft <= toUp && toLeft <= toUpLeft) return left;
  return toUp <= toUpLeft ? up : upLeft;
}

/** Scanlines cut into bands of `rows` rows, the last one perhaps shorter. */
export function* bandsOf(
  scanlines: Uint8Array<ArrayBuffer>,
  width: number,
  rows: number,
): Generator<Uint8Array<ArrayBuffer>> {
  const bytes = rows * (1 + 3 * width);
  for (let at = 0; at < scanlines.length; at += bytes) yield scanlines.slice(at, at + bytes);
}
