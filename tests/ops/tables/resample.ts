/** Latents in other sizes, and their colours. */
import {
  type AxisTable,
  axisTable,
  type Interpolation,
  interpolations,
  latentsToRgb,
  resample,
} from "../../../src/ops/resample.ts";
import { fill, type Tensor, tensor, zeros } from "../../reference/tensor.ts";
import { type Case, f16Rounding, type Input, type Table } from "../case.ts";

/** What OpenCV and Pillow made of one picture: see interpolate.py. */
interface Interpolated {
  height: number;
  width: number;
  channels: number;
  data: number[];
  cases: { how: Interpolation; height: number; width: number; data: number[] }[];
}

const stored: Interpolated = JSON.parse(Deno.readTextFileSync(new URL("../interpolate.json", import.meta.url)));

function axis(from: number, to: number, how: Interpolation): Input {
  const { taps, data }: AxisTable = axisTable(from, to, how), shape = [to, 1 + taps];
  return { shape, stored: "f32", values: () => tensor(shape, data) };
}

const storedCases = stored.cases.map(({ how, height, width, data }): Case => {
  const shape = [1, stored.height, stored.width, stored.channels];
  return {
    name: `${how} to ${height}×${width}`,
    inputs: {
      x: { shape, stored: "f32", values: () => tensor(shape, stored.data) },
      rows: axis(stored.height, height, how),
      columns: axis(stored.width, width, how),
    },
    record: ({ x, rows, columns }) => ({ y: resample(x, rows, columns) }),
    reference: () => ({ y: tensor([1, height, width, stored.channels], data) }),
  };
});

/** Several images, a channel more than a vec4 holds: every weight written out in one table a side. */
const imageCases = interpolations.map((how): Case => {
  const shape = [3, 4, 6, 5], [height, width] = [9, 7];
  return {
    name: `${how}, three images of five channels`,
    inputs: { x: { shape, stored: "f32" }, rows: axis(4, height, how), columns: axis(6, width, how) },
    record: ({ x, rows, columns }) => ({ y: resample(x, rows, columns) }),
    reference: ({ x, rows, columns }) => {
      const y = zeros([3, height, width, 5]), [down, across] = [rows, columns].map(({ shape }) => shape[1]);
      for (let i = 0; i < y.data.length; i++) {
        const channel = i % 5, column = Math.floor(i / 5) % width, row = Math.floor(i / 5 / width) % height;
        const image = Math.floor(i / 5 / width / height);
        for (let j = 1; j < down; j++) {
          for (let k = 1; k < across; k++) {
            const fromRow = rows.data[row * down] + j - 1, fromColumn = columns.data[column * across] + k - 1;
            const weight = rows.data[row * down + j] * columns.data[column * across + k];
            y.data[i] += weight * x.data[((image * 4 + fromRow) * 6 + fromColumn) * 5 + channel];
          }
        }
      }
      return { y };
    },
  };
});

const rgbCases = [[1, 1, 1, 4], [2, 5, 7, 4], [1, 9, 8, 5], [1, 3, 3, 1]].map((shape): Case => {
  const channels = shape[3];
  const colour = (i: number) => Math.fround(Math.sin(3 * i) / 2);
  return {
    name: `[${shape}]`,
    inputs: {
      // Levels between two bytes are left out: rounding may go either way.
      x: { shape, stored: "f32", values: () => fill(shape, (i) => Math.fround(((i * 37) % 101) / 30 - 1.7)) },
      matrix: { shape: [channels + 1, 4], stored: "f32", values: () => fill([channels + 1, 4], colour) },
    },
    record: ({ x, matrix }) => ({ y: latentsToRgb(x, matrix) }),
    reference: ({ x, matrix }): { y: Tensor } => ({
      y: fill(shape.slice(0, 3), (pixel) => {
        const [red, green, blue] = [0, 1, 2].map((i) => {
          let sum = matrix.data[channels * 4 + i];
          for (let c = 0; c < channels; c++) sum += x.data[pixel * channels + c] * matrix.data[c * 4 + i];
          return Math.floor(Math.min(1, Math.max(0, sum / 2 + 0.5)) * 255 + 0.5);
        });
        return red + 256 * green + 65536 * blue;
      }),
    }),
  };
});

export const resampleTable: Table = {
  op: "resample()",
  bounds: { f32: 1e-6, f16: f16Rounding },
  cases: [...storedCases, ...imageCases],
};
export const rgbTable: Table = { op: "latentsToRgb()", bounds: { f32: 0, f16: 0 }, cases: rgbCases };
