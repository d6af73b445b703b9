/** Token merging: its steps one by one, and the transformer's block around it. */
import type { Parameter } from "../../../src/graph/graph.ts";
import { BasicTransformerBlock } from "../../../src/models/unet/transformer.ts";
import { matchTokens, mergeTokens, type Merging, unmergeTokens } from "../../../src/ops/merge.ts";
import { attention } from "../../reference/attention.ts";
import { geglu } from "../../reference/activations.ts";
import { layerNorm } from "../../reference/layer_norm.ts";
import { linear } from "../../reference/linear.ts";
import { match, type Matching, merge, unmerge } from "../../reference/merge.ts";
import { fill, map, type Tensor, tensor } from "../../reference/tensor.ts";
import { type Case, f16Rounding, type Named, type Table } from "../case.ts";

interface Picture extends Merging {
  images?: number;
  channels: number;
  /** All tokens alike: every cosine is the same, and order alone decides. */
  plain?: boolean;
}

function matchAll(x: Tensor, { height, width, ratio }: Merging): Matching[] {
  return Array.from({ length: x.shape[0] }, (_, image) => match(x, image, height, width, ratio));
}

function mergeCase({ images = 1, channels, plain, ...merging }: Picture): Case {
  const { height, width, ratio } = merging, tokens = height * width, shape = [images, tokens, channels];
  return {
    name: `${images} of ${height}×${width} tokens of ${channels}, ${ratio} merged${plain ? ", all alike" : ""}`,
    inputs: {
      x: { shape, stored: "hidden", values: plain ? () => fill(shape, (i) => i % channels + 1) : undefined },
      normed: { shape, stored: "operand" },
    },
    record({ x, normed }) {
      const found = matchTokens(x, merging)!, merged = mergeTokens(normed, found);
      return {
        matches: found.matches,
        places: found.places,
        order: found.order,
        merged,
        y: unmergeTokens(merged, found),
      };
    },
    reference({ x, normed }) {
      const found = matchAll(x, merging), merged = merge(normed, found), { length } = found[0].sources;
      const rows = (width: number, of: (matching: Matching) => number[]) =>
        tensor([images, length, width], found.flatMap(of));
      return {
        matches: rows(2, ({ sources }) => sources.flatMap(({ cosine, destination }) => [cosine, destination])),
        places: rows(1, ({ sources }) => sources.map(({ place }) => place)),
        order: rows(
          2,
          ({ sources }) =>
            sources.toSorted((a, b) => a.place - b.place || a.token - b.token).flatMap((
              { token, place },
            ) => [token, place]),
        ),
        merged,
        y: unmerge(merged, found, tokens),
      };
    },
  };
}

/** One window; odd sides, whose last row and column have no destination; padded channels; more than one block of each. */
const pictures: Picture[] = [
  { height: 2, width: 2, channels: 5, ratio: 0.75 },
  { height: 2, width: 2, channels: 5, ratio: 0.25 },
  { height: 3, width: 2, channels: 33, ratio: 0.4, images: 2 },
  { height: 2, width: 3, channels: 8, ratio: 0.5 },
  { height: 5, width: 7, channels: 12, ratio: 0.5, images: 3 },
  { height: 4, width: 6, channels: 7, ratio: 0.75, images: 2 },
  { height: 16, width: 16, channels: 64, ratio: 0.5, images: 2 },
  { height: 17, width: 19, channels: 40, ratio: 0.6 },
  { height: 9, width: 2, channels: 66, ratio: 0.1 },
  { height: 6, width: 31, channels: 320, ratio: 0.25 },
  { height: 7, width: 9, channels: 10, ratio: 0.5, plain: true },
  { height: 8, width: 8, channels: 16, ratio: 0.75, plain: true },
];

export const mergeTable: Table = {
  op: "matchTokens(), mergeTokens() and unmergeTokens()",
  bounds: { f32: 1e-6, f16: f16Rounding },
  cases: pictures.map(mergeCase),
};

/** The parameters of a block, by path, or with other ones put in their place. */
function parametersOf(block: BasicTransformerBlock): Map<string, Parameter> {
  return new Map(block.parameters());
}

function blockCase({ images = 1, channels, ...merging }: Picture, heads: number): Case {
  const { height, width, ratio } = merging, tokens = height * width, context = 6;
  const weights = Object.fromEntries(
    [...parametersOf(new BasicTransformerBlock(channels, context, heads))]
      .map(([path, { shape, layout }]) => [path, { shape, layout }]),
  );
  return {
    name: `a block of ${channels} channels on ${images} of ${height}×${width} tokens, ${ratio} merged`,
    inputs: {
      x: { shape: [images, tokens, channels], stored: "hidden" },
      context: { shape: [images, 5, context], stored: "operand" },
    },
    weights,
    record({ x, context: text }, parameters) {
      const block = new BasicTransformerBlock(channels, context, heads);
      for (const path of parametersOf(block).keys()) put(block, path, parameters[path]);
      return { y: block.forward(x, text, merging) };
    },
    reference({ x, context: text }, w) {
      const norm = (of: Tensor, name: string) => layerNorm(of, w[`${name}.weight`], w[`${name}.bias`], 1e-5);
      const attend = (of: Tensor, to: Tensor, name: string) => {
        const [q, k, v] = [[of, "q"], [to, "k"], [to, "v"]].map(([from, which]) =>
          linear(from as Tensor, w[`${name}.to_${which}.weight`])
        );
        return linear(attention(q, k, v, heads, false), w[`${name}.to_out.0.weight`], w[`${name}.to_out.0.bias`]);
      };
      const found = matchAll(x, merging), merged = merge(norm(x, "norm1"), found);
      let h = sum(x, unmerge(attend(merged, merged, "attn1"), found, tokens));
      h = sum(h, attend(norm(h, "norm2"), text, "attn2"));
      const gated = geglu(linear(norm(h, "norm3"), w["ff.net.0.proj.weight"], w["ff.net.0.proj.bias"]));
      return { y: sum(h, linear(gated, w["ff.net.2.weight"], w["ff.net.2.bias"])) };
    },
  };
}

function sum(a: Tensor, b: Tensor): Tensor {
  return map(a, (value, i) => value + b.data[i]);
}

/** Sets the parameter at a path. */
function put(block: BasicTransformerBlock, path: string, parameter: Named<Parameter>[string]): void {
  const names = path.split("."), last = names.pop()!;
  const owner = names.reduce((at, name) => Reflect.get(at, name) as object, block as object);
  Reflect.set(owner, last, parameter);
}

export const mergedBlockTable: Table = {
  op: "a transformer block over merged tokens",
  bounds: { f32: 5e-6, f16: f16Rounding },
  cases: [
    blockCase({ height: 6, width: 7, channels: 16, ratio: 0.5, images: 2 }, 2),
    blockCase({ height: 8, width: 8, channels: 24, ratio: 0.75 }, 3),
    blockCase({ height: 5, width: 3, channels: 20, ratio: 0.25 }, 1),
  ],
};
