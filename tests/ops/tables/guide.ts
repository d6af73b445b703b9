/** Guidance beyond a weighted difference, and latents kept to a mask. */
import { blendLatents, guide, GUIDE_LENGTH, guideFields } from "../../../src/ops/guide.ts";
import { ROW_LENGTH, rowFields } from "../../../src/ops/latents.ts";
import type { Shape } from "../../../src/tensor/shape.ts";
import * as reference from "../../reference/guide.ts";
import { fill, map, type Tensor } from "../../reference/tensor.ts";
import { type Case, f16Rounding, type Input, type Named, normals, type Table } from "../case.ts";

// The output is worked back from clean latents: a difference of close numbers.
const bounds = { f32: 2e-6, f16: f16Rounding };
const shapes: Shape[] = [[1, 1, 3, 4], [2, 5, 7, 4], [3, 8, 9, 5], [1, 33, 17, 4], [2, 6, 5, 1]];

const base: reference.Guidance = {
  guidanceScale: 7.5,
  cleanSkip: 1.25,
  cleanOut: -0.75,
  rescale: 0,
  threshold: 0,
  percentile: 0,
};
const ways: Named<Partial<reference.Guidance> & { masked?: boolean }> = {
  "plain": {},
  "rescaled": { rescale: 0.7 },
  "rescaled wholly": { rescale: 1, guidanceScale: -2 },
  "thresholded": { threshold: 1, percentile: 0.995 },
  "thresholded at the median": { threshold: 0.5, percentile: 0.5 },
  "thresholded where nothing is large": { threshold: 1000, percentile: 0.9 },
  "thresholded at the largest": { threshold: 2, percentile: 1 },
  "masked": { masked: true },
  "all of it": { rescale: 0.5, threshold: 1.5, percentile: 0.9, masked: true },
};

/** A small operand: these fields of a list of names, rounded to f32, and 9 where nothing is read. */
function operand(names: readonly string[], length: number, values: Named<number>): Input {
  const data = Array.from({ length }, (_, i) => Math.fround(values[names[i]] ?? 9));
  return { shape: [1, length], stored: "f32", values: () => fill([1, length], (i) => data[i]) };
}

/** 0, 1 or something between. */
const mask = (shape: Shape): Tensor =>
  map(normals(shape, 77), (value) => Math.fround(Math.min(1, Math.max(0, value + 0.5))));

const guideCases = shapes.flatMap((shape) =>
  [1, 2].flatMap((halves) =>
    Object.entries(ways).map(([name, { masked, ...changes }]): Case => {
      const guidance = { ...base, ...changes };
      for (const key of Object.keys(guidance) as (keyof typeof guidance)[]) guidance[key] = Math.fround(guidance[key]);
      const inpaint: Named<Input> = masked
        ? { initial: { shape, stored: "f32" }, mask: { shape, stored: "f32", values: () => mask(shape) } }
        : {};
      return {
        name: `${name}, [${shape}], ${halves === 2 ? "guided" : "not guided"}`,
        inputs: {
          latents: { shape, stored: "f32" },
          prediction: { shape: [halves * shape[0], ...shape.slice(1)], stored: "hidden" },
          row: operand(rowFields, ROW_LENGTH, { guidanceScale: guidance.guidanceScale }),
          options: operand(guideFields, GUIDE_LENGTH, { ...guidance }),
          ...inpaint,
        },
        record: ({ latents, prediction, row, options, initial, mask }) => ({
          y: guide({ latents, prediction, row, options, inpaint: initial && { initial, mask } }),
        }),
        reference: ({ latents, prediction, initial, mask }) => ({
          y: reference.guide(prediction, latents, guidance, initial && { initial, mask }),
        }),
      };
    })
  )
);

const blendCases = shapes.map((shape): Case => ({
  name: `[${shape}]`,
  inputs: {
    latents: { shape, stored: "f32" },
    initial: { shape, stored: "f32" },
    noise: { shape, stored: "f32" },
    mask: { shape, stored: "f32", values: () => mask(shape) },
    level: { shape: [1, 2], stored: "f32", values: () => fill([1, 2], (i) => [0.75, 1.5][i]) },
  },
  record: (values) => {
    const { latents, initial, noise, mask, level } = values;
    blendLatents({ latents, initial, noise, mask, level });
    return { latents };
  },
  reference: ({ latents, initial, noise, mask }) => ({
    latents: map(
      latents,
      (before, i) => mask.data[i] * before + (1 - mask.data[i]) * (0.75 * initial.data[i] + 1.5 * noise.data[i]),
    ),
  }),
}));

export const guideTable: Table = { op: "guide()", bounds, cases: guideCases };
export const blendTable: Table = { op: "blendLatents()", bounds, cases: blendCases };
