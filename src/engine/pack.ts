/** Weights packed on the host, for a device that is the same processor: its driver pays for each load of each lane. */

/** Which rows of a weight [out, in, tap] there are, and what it is packed to. */
export interface RowsShape {
  /** The first row, a multiple of 4. */
  row0: number;
  rows: number;
  inner: number;
  taps: number;
  /** Vec4s of all output channels. */
  out4: number;
  /** Whether the first half of all rows are values and the others their gates, packed in turn: "gated" in graph.ts. */
  isGated?: boolean;
}

/** Where the first of some rows' vec4 columns is packed, and how far apart they lie. */
function columnsOf({ row0, out4, isGated = false }: RowsShape): [first: number, step: number] {
  if (!isGated) return [row0 / 4, 1];
  const half = out4 / 2, column = row0 / 4;
  return column < half ? [2 * column, 2] : [2 * (column - half) + 1, 2];
}

/** How many of the rows are values, where gates follow them; 0 where there are not both. */
function valuesAmong({ row0, rows, out4, isGated = false }: RowsShape): number {
  const values = 2 * out4 - row0;
  return isGated && values > 0 && values < rows ? values : 0;
}

/** Gives `pack` the rows by whole fours, zeros where there are none, and values apart from their gates. */
function inPieces<Source extends Float16Array | Uint16Array>(
  source: Source,
  zeros: (length: number) => Source,
  shape: RowsShape,
  pack: (piece: Source, shape: RowsShape) => void,
): void {
  const { row0, rows, inner, taps } = shape, width = inner * taps, whole = Math.ceil(rows / 4) * 4;
  let padded = source;
  if (rows !== whole) {
    padded = zeros(whole * width);
    padded.set(source);
  }
  const values = valuesAmong({ ...shape, rows: whole });
  if (values === 0) return pack(padded, { ...shape, rows: whole });
  pack(padded.subarray(0, values * width) as Source, { ...shape, rows: values });
  pack(padded.subarray(values * width) as Source, { ...shape, row0: row0 + values, rows: whole - values });
}

/** Vec4 columns and inputs of a block: its rows stay in the cache, and runs of columns are written together. */
const blockColumns = 16, blockInputs = 8;

/**
 * Packs rows of f16 numbers as kernels/repack_matmul.wgsl does, [tap, in, out4]: a texel of four floats has an input's 4
 * output channels, zeros where in or out is padded. `source` holds the rows alone, `target` all of the weight.
 */
export function packFloats(source: Float16Array, target: Float32Array, shape: RowsShape): void {
  inPieces(source, (length) => new Float16Array(length), shape, (piece, part) => packFloatsPiece(piece, target, part));
}

function packFloatsPiece(source: Float16Array, target: Float32Array, shape: RowsShape): void {
  const { rows, inner, taps, out4 } = shape, width = inner * taps, paddedInner = Math.ceil(inner / 4) * 4;
  const columns = rows / 4, [column0, step] = columnsOf(shape);
  for (let k0 = 0; k0 < inner; k0 += blockInputs) {
    const kEnd = Math.min(k0 + blockInputs, inner);
    for (let c0 = 0; c0 < columns; c0 += blockColumns) {
      const cEnd = Math.min(c0 + blockColumns, columns);
      for (let tap = 0; tap < taps; tap++) {
        for (let k = k0; k < kEnd; k++) {
          let place = ((tap * paddedInner + k) * out4 + column0 + c0 * step) * 4;
          let first = c0 * 4 * width + k * taps + tap;
          for (let c = c0; c < cEnd; c++) {
            target[place] = source[first];
            target[place + 1] = source[first + width];
            target[place + 2] = source[first + 2 * width];
            target[place + 3] = source[first + 3 * width];
            place += 4 * step;
            first += 4 * width;
          }
        }
      }
    }
  }
  if (inner === paddedInner) return;
  for (let tap = 0; tap < taps; tap++) {
    const end = (tap + 1) * paddedInner * out4 * 4;
    target.fill(0, end - (paddedInner - inner) * out4 * 4, end);
  }
}

/**
 * Packs rows of f16 numbers, `inner` a multiple of 2, as kernels/repack_pairs.wgsl does, [tap, in / 2, out4]: a texel of four
 * words has two inputs' 4 output channels, zeros where out is padded. `source` holds the rows alone, `target` all of the weight.
 */
export function packPairs(source: Uint16Array, target: Uint32Array, shape: RowsShape): void {
  inPieces(source, (length) => new Uint16Array(length), shape, (piece, part) => packPairsPiece(piece, target, part));
}

function packPairsPiece(source: Uint16Array, target: Uint32Array, shape: RowsShape): void {
  const { rows, inner, taps, out4 } = shape, width = inner * taps;
  const columns = rows / 4, [column0, step] = columnsOf(shape);
  for (let k0 = 0; k0 < inner; k0 += blockInputs) {
    const kEnd = Math.min(k0 + blockInputs, inner);
    for (let c0 = 0; c0 < columns; c0 += blockColumns) {
      const cEnd = Math.min(c0 + blockColumns, columns);
      for (let tap = 0; tap < taps; tap++) {
        for (let k = k0; k < kEnd; k += 2) {
          let place = ((tap * inner + k) / 2 * out4 + column0 + c0 * step) * 4;
          let first = c0 * 4 * width + k * taps + tap;
          for (let c = c0; c < cEnd; c++) {
            const second = first + width, third = second + width, fourth = third + width;
            target[place] = source[first] | source[second] << 16;
            target[place + 1] = source[third] | source[fourth] << 16;
            target[place + 2] = source[first + taps] | source[second + taps] << 16;
            target[place + 3] = source[third + taps] | source[fourth + taps] << 16;
            place += 4 * step;
            first += 4 * width;
          }
        }
      }
    }
  }
}
