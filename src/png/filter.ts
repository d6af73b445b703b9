/** Scanlines of a PNG whose pixels are on the host: Paeth's filter on every row, as the GPU's kernel has it. */

/** RGB pixels, row by row, to scanlines: the filter's type, 4, and width × 3 differences from Paeth's guess (section 9.4). */
export function filterRows(pixels: Uint8Array, width: number): Uint8Array<ArrayBuffer> {
  const bytes = 3 * width, height = pixels.length / bytes, rows = new Uint8Array(height * (1 + bytes));
  for (let y = 0, at = 0, to = 0; y < height; y++) {
    rows[to++] = 4;
    for (let i = 0; i < bytes; i++, at++) {
      const left = i >= 3 ? pixels[at - 3] : 0, up = y > 0 ? pixels[at - bytes] : 0;
      const upLeft = i >= 3 && y > 0 ? pixels[at - bytes - 3] : 0, guess = left + up - upLeft;
      const toLeft = Math.abs(guess - left), toUp = Math.abs(guess - up), toUpLeft = Math.abs(guess - upLeft);
      const near = toLeft <= toUp && toLeft <= toUpLeft ? left : toUp <= toUpLeft ? up : upLeft;
      rows[to++] = pixels[at] - near;
    }
  }
  return rows;
}
