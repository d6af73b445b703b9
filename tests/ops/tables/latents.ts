/** The start of sampling, the U-Net's input and one sampler row. */
import {
  advance,
  compose,
  HISTORY_SLOTS,
  ROW_LENGTH,
  rowFields,
  scaleLatents,
  startLatents,
} from "../../../src/ops/latents.ts";
import type { Shape } from "../../../src/tensor/shape.ts";
import * as reference from "../../reference/latents.ts";
import { fill, map, type Tensor, tensor } from "../../reference/tensor.ts";
import { type Case, f16Rounding, type Input, type Named, normals, type Table } from "../case.ts";

const bounds = { f32: 5e-7, f16: f16Rounding };
const shapes: Shape[] = [[1, 1, 1, 4], [1, 3, 5, 4], [2, 7, 1, 4], [3, 8, 9, 5], [1, 17, 13, 1]];

/** The numbers of a small operand, rounded as it stores them. */
const numbers = (values: readonly number[]) => (): Tensor => fill([1, values.length], (i) => Math.fround(values[i]));

const startCases = shapes.flatMap((shape): Case[] => {
  const [images, height, width, channels] = shape;
  const [signal, level, scalingFactor] = [0.75, 1.25, Math.fround(0.18215)];
  const common: Named<Input> = {
    noise: { shape, stored: "f32" },
    start: { shape: [1, 4], stored: "f32", values: numbers([signal, level, scalingFactor, height * width]) },
    latents: { shape, stored: "f32", values: () => fill(shape, () => 3e38) },
  };
  const moments = [1, height, width, 2 * channels];
  return [
    {
      name: `[${shape}] from noise`,
      inputs: common,
      record: ({ latents, noise, start }) => (startLatents({ latents, noise, start }), { latents }),
      reference: ({ noise }) => ({ latents: reference.startLatents(noise, level) }),
    },
    {
      name: `[${shape}] from a picture, ${images} images of one`,
      inputs: {
        ...common,
        posterior: { shape, stored: "f32" },
        // Log variances beyond both ends of what the reference keeps.
        moments: { shape: moments, stored: "hidden", values: () => map(normals(moments, 3), (v) => 12 * v) },
      },
      record: (values) => {
        const { latents, noise, start, moments, posterior } = values;
        startLatents({ latents, noise, start, moments, posterior });
        return { latents };
      },
      reference: ({ noise, moments, posterior }) => ({
        latents: reference.startLatents(noise, level, { moments, posterior, signal, scalingFactor }),
      }),
    },
  ];
});

const scaleCases = shapes.flatMap((shape) =>
  ([1, 2] as const).map((copies): Case => ({
    name: `[${shape}], ${copies} times`,
    inputs: {
      latents: { shape, stored: "f32" },
      row: { shape: [1, ROW_LENGTH], stored: "f32", values: numbers([0.0625, ...Array(ROW_LENGTH - 1).fill(9)]) },
    },
    record: ({ latents, row }) => ({
      y: scaleLatents(latents, row, { copies, dtype: latents.graph.target.operandType }),
    }),
    reference: ({ latents }) => ({ y: reference.scaleLatents(latents, 0.0625, copies) }),
  }))
);

/** A DDIM-like row; clipped ones; linear multistep rows from several places of the history; rows of several stages. */
const base: reference.Row = {
  guidanceScale: 7.5,
  skip: 1.5,
  out: -0.75,
  clip: 0,
  slot: 0,
  x: 0.875,
  noise: 0,
  unclipped: 0,
  saveSlot: -1,
  weights: [0.25],
};
const rows: Named<Partial<reference.Row>> = {
  "one prediction": {},
  "noise and a negative guidance": { noise: 0.5, guidanceScale: -1.25 },
  "clipped": { clip: 1 },
  "clipped and unclipped": { clip: 0.5, unclipped: 0.375, noise: 0.125 },
  "two predictions, the new one in the first slot": { weights: [1.5, 0, 0, -0.5] },
  "three predictions": { slot: 1, weights: [-0.5, 1.5, 0, 0.25] },
  "all slots": { slot: 2, weights: [1.5, -0.5, 0.25, -0.125, 0.0625, -2, 0.375] },
  "the last slot": { slot: 6, weights: [0.5, 0.25, 0, 0, 0.125, 0, 2], clip: 2 },
  "latents saved for later": { slot: 1, saveSlot: 4, weights: [0, 0.5] },
  "latents saved in the last slot, others read": { slot: 0, saveSlot: 6, weights: [0.5, -0.25, 2] },
  "a prediction that only later rows read": { slot: 3, weights: [0.5] },
};

function layRow(row: reference.Row): number[] {
  const fields: Named<number> = { ...row, inputScale: 1, weights: 0 };
  for (const [slot, weight] of row.weights.entries()) fields[`weight${slot}`] = weight;
  return rowFields.map((name) => fields[name] ?? 0);
}

const advanceCases = shapes.slice(1, 4).flatMap((shape) =>
  [1, 2].flatMap((halves) =>
    Object.entries(rows).map(([name, changes]): Case => {
      const row = { ...base, ...changes }, size = shape.reduce((a, b) => a * b);
      const historyShape = [HISTORY_SLOTS, ...shape];
      // Slots that the row does not read may hold anything.
      const history = () => map(normals(historyShape, 11), (v, i) => row.weights[Math.floor(i / size)] ? v : 3e38);
      return {
        name: `${name}, [${shape}], ${halves === 2 ? "guided" : "not guided"}`,
        inputs: {
          latents: { shape, stored: "f32" },
          history: { shape: historyShape, stored: "f32", values: history },
          prediction: { shape: [halves * shape[0], ...shape.slice(1)], stored: "hidden" },
          noise: { shape, stored: "f32" },
          row: { shape: [1, ROW_LENGTH], stored: "f32", values: numbers(layRow(row)) },
        },
        record: ({ latents, history, prediction, noise, row }) => {
          advance({ latents, history, prediction, noise, row });
          return { latents, history };
        },
        reference: ({ latents, history, prediction, noise }) => {
          const slots = Array.from({ length: HISTORY_SLOTS }, (_, slot) =>
            tensor(shape, history.data.subarray(slot * size, (slot + 1) * size)));
          const after = reference.advance(latents, prediction, noise, row, slots);
          return { latents: after, history: tensor(historyShape, slots.flatMap(({ data }) => [...data])) };
        },
      };
    })
  )
);

/** The first of several outputs, over what is no number; a further one; one that counts against the others. */
const shares: Named<number[]> = {
  "a first": [0, 1, 0, -0.5],
  "a second": [1, 0, 1, 0.75],
  "a third": [0.5, 2, 1, -1.25],
};

const composeCases = shapes.flatMap((shape) =>
  Object.entries(shares).map(([name, numbers4]): Case => {
    const halves = [2 * shape[0], ...shape.slice(1)], size = shape.reduce((a, b) => a * b);
    return {
      name: `${name} output, [${shape}]`,
      inputs: {
        output: { shape, stored: "hidden" },
        prediction: {
          shape: halves,
          stored: "f32",
          values: () => map(normals(halves, 5), (v) => numbers4[0] === 0 ? NaN : v),
        },
        shares: { shape: [1, 4], stored: "f32", values: numbers(numbers4) },
      },
      record: ({ output, prediction, shares }) => (compose({ prediction, output, shares }), { prediction }),
      reference: ({ output, prediction }) => ({
        prediction: map(prediction, (before, i) => {
          const [keep, add] = numbers4.slice(i < size ? 0 : 2);
          return (keep === 0 ? 0 : keep * before) + add * output.data[i % size];
        }),
      }),
    };
  })
);

export const composeTable: Table = { op: "compose()", bounds, cases: composeCases };
export const startTable: Table = { op: "startLatents()", bounds, cases: startCases };
export const scaleLatentsTable: Table = { op: "scaleLatents()", bounds, cases: scaleCases };
export const advanceTable: Table = { op: "advance()", bounds, cases: advanceCases };
