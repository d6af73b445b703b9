/** Pictures in bands of rows: what their convolutions read, norms over all of them, and the whole picture again. */
import { bandNorm, bandWindow, inParts, joinBands } from "../../../src/ops/bands.ts";
import { silu as siluOp } from "../../../src/ops/elementwise.ts";
import type { Shape } from "../../../src/tensor/shape.ts";
import { silu } from "../../reference/activations.ts";
import { join, window } from "../../reference/bands.ts";
import { groupNorm } from "../../reference/group_norm.ts";
import { map, type Tensor } from "../../reference/tensor.ts";
import { type Case, f16Rounding, type Input, type Named, normals, type Table } from "../case.ts";

/** Rows of every band, and what the picture is like. */
interface Picture {
  rows: readonly number[];
  width: number;
  channels: number;
  groups: number;
  /** Of every channel, in standard deviations. */
  mean?: number;
}

const pictures: Picture[] = [
  { rows: [1], width: 1, channels: 4, groups: 1 },
  { rows: [2, 2, 1], width: 5, channels: 6, groups: 3 },
  { rows: [8, 8, 8, 3], width: 9, channels: 10, groups: 5, mean: 3 },
  { rows: [16, 1], width: 37, channels: 64, groups: 32 },
  { rows: [4, 4], width: 131, channels: 130, groups: 2 },
];

function inputsOf({ rows, width, channels, mean = 0 }: Picture): Named<Input> {
  return Object.fromEntries(rows.map((height, i) => {
    const shape: Shape = [1, height, width, channels];
    // No two bands have one mean: the statistics are those of all of them.
    return [`band${i}`, { shape, stored: "hidden", values: () => map(normals(shape, i), (v) => v + mean + i / 2) }];
  }));
}

/** Bands in their order: nothing else is among a case's inputs. */
const inOrder = <Thing>(named: Named<Thing>): Thing[] => Object.values(named);

const name = ({ rows, width, channels }: Picture) => `bands of ${rows} rows of [${width}, ${channels}]`;

/** How windows are taken: as a 3×3 convolution reads, enlarged first, strided, and the band itself. */
const moves = [
  { factor: 1, above: 1, below: 1, left: 1, right: 1 },
  { factor: 2, above: 1, below: 1, left: 1, right: 1 },
  { factor: 1, above: 0, below: 1, left: 0, right: 1 },
  { factor: 1, above: 0, below: 0, left: 0, right: 0 },
  { factor: 1, above: 1, below: 1, left: 1, right: 1, wraps: true },
  { factor: 2, above: 1, below: 1, left: 1, right: 1, wraps: true },
  { factor: 1, above: 0, below: 1, left: 0, right: 1, wraps: true },
];

/** Every window of a picture by its band; `norm` says where it comes from. */
const windowCases = (normed: boolean) =>
  pictures.flatMap((picture) =>
    moves.map((move): Case => {
      const { rows, channels, groups } = picture, { factor, above, below, left, right, wraps } = move;
      const epsilon = 1e-6;
      return {
        name: `${name(picture)}, ${JSON.stringify(move)}`,
        inputs: inputsOf(picture),
        weights: normed
          ? { weight: { shape: [channels], layout: "vector" }, bias: { shape: [channels], layout: "vector" } }
          : {},
        record(values, { weight, bias }) {
          const bands = inOrder(values);
          const scale = normed ? bandNorm(bands, weight, bias, { groups, epsilon }) : undefined;
          return Object.fromEntries(rows.map((height, band) => [
            `window${band}`,
            bandWindow(bands, {
              ...{ band, first: -above, rows: factor * height + above + below },
              ...{ left, right, factor, scale, wraps },
            }),
          ]));
        },
        reference(inputs, { weight, bias }) {
          let whole = join(inOrder(inputs)), top = 0;
          if (normed) whole = map(groupNorm(whole, weight, bias, groups, epsilon), silu);
          const windows: Named<Tensor> = {};
          for (const [band, height] of rows.entries()) {
            const first = factor * top - above, count = factor * height + above + below;
            windows[`window${band}`] = window(whole, { first, rows: count, left, right, factor, wraps });
            top += height;
          }
          return windows;
        },
      };
    })
  );

export const bandWindowTable: Table = {
  op: "bandWindow()",
  bounds: { f32: 0, f16: f16Rounding },
  cases: windowCases(false),
};

export const bandNormTable: Table = {
  op: "bandNorm() and bandWindow()",
  bounds: { f32: 2e-6, f16: f16Rounding },
  cases: windowCases(true),
};

/** A layer without weights: the parts join to what it makes of all rows. */
export const inPartsTable: Table = {
  op: "inParts()",
  bounds: { f32: 2e-7, f16: f16Rounding },
  cases: [1, 2, 3, 40].map((parts): Case => {
    const shape = [2, 39, 10];
    return {
      name: `[${shape}] in ${parts} parts or more`,
      inputs: { x: { shape, stored: "operand" } },
      record({ x }) {
        const bytes = x.storage.bytes / parts;
        x.graph.target.maxBytes = bytes;
        const y = inParts(x, 10, (part) => {
          if (part.storage.bytes > bytes) throw new RangeError(`a part has ${part.storage.bytes} of ${bytes} bytes`);
          return siluOp(part);
        });
        x.graph.target.maxBytes = undefined;
        return { y };
      },
      reference: ({ x }) => ({ y: map(x, silu) }),
    };
  }),
};

export const joinBandsTable: Table = {
  op: "joinBands()",
  bounds: { f32: 0, f16: 0 },
  cases: pictures.filter(({ rows }) => rows.length > 1).map((picture): Case => ({
    name: name(picture),
    inputs: inputsOf(picture),
    record: (values) => ({ y: joinBands(inOrder(values)) }),
    reference: (inputs) => ({ y: join(inOrder(inputs)) }),
  })),
};
