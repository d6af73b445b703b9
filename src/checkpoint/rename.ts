import type { Shape } from "../tensor/shape.ts";

/** Turns the name of a tensor into the one that models use. */
export type Rename = (name: string) => string;

/** The attention of early VAE files, by its names in current ones. */
const OLD_ATTENTION: Readonly<Record<string, string>> = {
  query: "to_q",
  key: "to_k",
  value: "to_v",
  proj_attn: "to_out.0",
};

/**
 * How to turn the names in a component's files into those that models use, which are diffusers': old attention names
 * become current ones, and a text encoder's tensors get the `text_model.` that published files have and newly written
 * ones lack. `names` are all names in the files; a name that is already right is left alone.
 */
export function renameFor(names: Iterable<string>): Rename {
  const isTextEncoder = [...names].some((name) => /^(text_model\.)?embeddings\.token_embedding\.weight$/.test(name));
  return (name) => {
    if (isTextEncoder && /^(embeddings|encoder|final_layer_norm)\./.test(name)) return `text_model.${name}`;
    return name.replace(
      /(\.attentions\.\d+\.)(query|key|value|proj_attn)(?=\.(weight|bias)$)/,
      (_, block, part) => block + OLD_ATTENTION[part],
    );
  };
}

/**
 * Whether a tensor stored with the shape `stored` may be loaded where `wanted` is expected: they are equal but for ones at
 * the end, as a linear layer is to a 1×1 convolution ([64, 64] and [64, 64, 1, 1]).
 */
export function fitsShape(stored: Shape, wanted: Shape): boolean {
  const [shorter, longer] = stored.length <= wanted.length ? [stored, wanted] : [wanted, stored];
  return longer.every((size, axis) => size === (axis < shorter.length ? shorter[axis] : 1));
}
