/** The names of other layouts, turned into those that models use, which are diffusers': one table of rules. */
import type { Shape } from "../tensor/shape.ts";

/**
 * Turns the name of a stored tensor into the one that models use, or into undefined where it is none of theirs. Braces
 * stand for several parameters that the tensor holds as equal parts along its first axis: `self_attn.{q,k,v}_proj.bias`.
 */
export type Rename = (name: string) => string | undefined;

type Rule = readonly [pattern: RegExp, replacement: string | ((match: string, ...groups: string[]) => string)];

/** A residual block, in U-Nets (`in_layers`, …) and VAEs. */
const RESNET: readonly Rule[] = [
  [/\.in_layers\.0(?=\.)/, ".norm1"],
  [/\.in_layers\.2(?=\.)/, ".conv1"],
  [/\.emb_layers\.1(?=\.)/, ".time_emb_proj"],
  [/\.out_layers\.0(?=\.)/, ".norm2"],
  [/\.out_layers\.3(?=\.)/, ".conv2"],
  [/\.(skip_connection|nin_shortcut)(?=\.)/, ".conv_shortcut"],
];

/** The U-Net of latent-diffusion; a level is `span` numbered blocks long: its layers and a resampling. */
function unetRules(span: number): Rule[] {
  const level = (i: number) => Math.floor(i / span);
  return [
    ...RESNET,
    [/^input_blocks\.0\.0\./, "conv_in."],
    [/^input_blocks\.(\d+)\.0\.op\./, (_, i) => `down_blocks.${level(+i - 1)}.downsamplers.0.conv.`],
    [/^input_blocks\.(\d+)\.0\./, (_, i) => `down_blocks.${level(+i - 1)}.resnets.${(+i - 1) % span}.`],
    [/^input_blocks\.(\d+)\.1\./, (_, i) => `down_blocks.${level(+i - 1)}.attentions.${(+i - 1) % span}.`],
    [/^middle_block\.([02])\./, (_, i) => `mid_block.resnets.${+i / 2}.`],
    [/^middle_block\.1\./, "mid_block.attentions.0."],
    [/^output_blocks\.(\d+)\.[12]\.conv\./, (_, i) => `up_blocks.${level(+i)}.upsamplers.0.conv.`],
    [/^output_blocks\.(\d+)\.0\./, (_, i) => `up_blocks.${level(+i)}.resnets.${+i % span}.`],
    [/^output_blocks\.(\d+)\.1\./, (_, i) => `up_blocks.${level(+i)}.attentions.${+i % span}.`],
    [/^time_embed\.0\./, "time_embedding.linear_1."],
    [/^time_embed\.2\./, "time_embedding.linear_2."],
    [/^out\.0\./, "conv_norm_out."],
    [/^out\.2\./, "conv_out."],
  ];
}

/** The VAE of latent-diffusion, whose decoder counts its `levels` from the picture's size down. */
function vaeRules(levels: number): Rule[] {
  return [
    ...RESNET,
    [/^encoder\.down\.(\d+)\.block\.(\d+)\./, "encoder.down_blocks.$1.resnets.$2."],
    [/^encoder\.down\.(\d+)\.downsample\./, "encoder.down_blocks.$1.downsamplers.0."],
    [/^decoder\.up\.(\d+)\.block\.(\d+)\./, (_, i, j) => `decoder.up_blocks.${levels - 1 - +i}.resnets.${j}.`],
    [/^decoder\.up\.(\d+)\.upsample\./, (_, i) => `decoder.up_blocks.${levels - 1 - +i}.upsamplers.0.`],
    [/\.mid\.block_([12])\./, (_, i) => `.mid_block.resnets.${+i - 1}.`],
    [/\.mid\.attn_1\.norm\./, ".mid_block.attentions.0.group_norm."],
    [/\.mid\.attn_1\.([qkv])\./, ".mid_block.attentions.0.to_$1."],
    [/\.mid\.attn_1\.proj_out\./, ".mid_block.attentions.0.to_out.0."],
    [/\.norm_out\./, ".conv_norm_out."],
  ];
}

/** OpenCLIP's text encoder. */
const OPEN_CLIP: readonly Rule[] = [
  [/^transformer\.resblocks\./, "text_model.encoder.layers."],
  [/^token_embedding\./, "text_model.embeddings.token_embedding."],
  [/^positional_embedding$/, "text_model.embeddings.position_embedding.weight"],
  [/^ln_final\./, "text_model.final_layer_norm."],
  [/\.ln_([12])\./, ".layer_norm$1."],
  [/\.mlp\.c_fc\./, ".mlp.fc1."],
  [/\.mlp\.c_proj\./, ".mlp.fc2."],
  [/\.attn\.in_proj_(weight|bias)$/, ".self_attn.{q,k,v}_proj.$1"],
  [/\.attn\.out_proj\./, ".self_attn.out_proj."],
];
/** SD 2.x reads what the last but one of ViT-H's 24 layers makes: the last is in the file and in no model. */
const OPEN_CLIP_UNUSED = /^transformer\.resblocks\.23\.|^(text_projection|logit_scale|attn_mask)$/;

/** transformers' text encoder, which newer versions write without the `text_model.` that published files have. */
const TEXT_ENCODER: readonly Rule[] = [[/^(?=(embeddings|encoder|final_layer_norm)\.)/, "text_model."]];

/** The attention of early VAEs in diffusers' layout. */
const OLD_ATTENTION: readonly Rule[] = [
  [/(\.attentions\.\d+\.)query(?=\.(weight|bias)$)/, "$1to_q"],
  [/(\.attentions\.\d+\.)key(?=\.(weight|bias)$)/, "$1to_k"],
  [/(\.attentions\.\d+\.)value(?=\.(weight|bias)$)/, "$1to_v"],
  [/(\.attentions\.\d+\.)proj_attn(?=\.(weight|bias)$)/, "$1to_out.0"],
];

/**
 * How to turn the names of one component's tensors into those that models use, whichever layout they are in: all are
 * known by names that no other has. A name that is already right is left alone, and so is one that no rule knows.
 */
export function renameFor(names: Iterable<string>): Rename {
  const all = [...names];
  const find = (pattern: RegExp) => all.filter((name) => pattern.test(name));
  if (find(/^input_blocks\.0\.0\./).length > 0) return renameBy(unetRules(unetSpan(all)));
  const levels = new Set(find(/^(encoder\.down|decoder\.up)\.\d+\./).map((name) => name.match(/\d+/)![0])).size;
  if (levels > 0) return renameBy(vaeRules(levels));
  if (find(/^transformer\.resblocks\.0\./).length > 0) {
    const rename = renameBy(OPEN_CLIP);
    return (name) => OPEN_CLIP_UNUSED.test(name) ? undefined : rename(name);
  }
  if (find(/^(text_model\.)?embeddings\.token_embedding\.weight$/).length > 0) return renameBy(TEXT_ENCODER);
  return renameBy(OLD_ATTENTION);
}

/** The networks of a single file, each with what its tensors' names begin with there; trainers have two for texts. */
const SINGLE: readonly [component: string, prefix: RegExp][] = [
  ["unet", /^model\.diffusion_model\./],
  ["vae", /^first_stage_model\.(?!loss\.|model_ema\.)/],
  ["text_encoder", /^(cond_stage_model|conditioner\.embedders\.0)\.(transformer|model)\./],
];

/** The component that a tensor of a single file belongs to, and its name there; undefined for what is in none. */
export function componentOf(name: string): { component: string; inner: string } | undefined {
  for (const [component, prefix] of SINGLE) {
    const inner = name.replace(prefix, "");
    if (inner !== name) return { component, inner };
  }
}

/**
 * How to turn the names of a single file, which `names` are, into those of the parameters of `component`. Every one is
 * renamed here, once: there are a thousand, and a file is opened for each component.
 */
export function renameForSingle(component: string, names: Iterable<string>): Rename {
  const inner = new Map<string, string>();
  for (const name of names) {
    const place = componentOf(name);
    if (place?.component === component) inner.set(name, place.inner);
  }
  const rename = renameFor(inner.values());
  const renamed = new Map([...inner].map(([name, own]) => [name, rename(own)]));
  return (name) => renamed.get(name);
}

/** The parameters that a renamed tensor holds: itself, or what its braces list. */
export function expandBraces(name: string): string[] {
  const match = name.match(/^(.*)\{(.*)\}(.*)$/);
  return match ? match[2].split(",").map((part) => match[1] + part + match[3]) : [name];
}

/**
 * Whether a tensor stored with the shape `stored` may be loaded where `wanted` is expected: they are equal but for ones at
 * the end, as a linear layer is to a 1×1 convolution ([64, 64] and [64, 64, 1, 1]).
 */
export function fitsShape(stored: Shape, wanted: Shape): boolean {
  const [shorter, longer] = stored.length <= wanted.length ? [stored, wanted] : [wanted, stored];
  return longer.every((size, axis) => size === (axis < shorter.length ? shorter[axis] : 1));
}

function renameBy(rules: readonly Rule[]): Rename {
  return (name) =>
    rules.reduce(
      (renamed, [pattern, by]) => typeof by === "string" ? renamed.replace(pattern, by) : renamed.replace(pattern, by),
      name,
    );
}

/** The first downsampling ends the first level; a U-Net without one has a single level, longer than any number. */
function unetSpan(names: readonly string[]): number {
  const ends = names.flatMap((name) => name.match(/^input_blocks\.(\d+)\.0\.op\./)?.[1] ?? []).map(Number);
  return ends.length > 0 ? Math.min(...ends) : names.length;
}
