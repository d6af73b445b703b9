/** The configs of a single file's networks, read off its tensors' shapes; what shapes do not show is said in the docs. */
import type { Shape } from "../tensor/shape.ts";
import { CheckpointError } from "./error.ts";
import type { Json } from "./files.ts";

/** The shape of a component's tensor under the name that models use, or undefined where there is none. */
export type ShapeOf = (name: string) => Shape | undefined;

/** What a config is derived from. */
export interface Derivation {
  /** The file, for messages. */
  path: string;
  shapeOf: ShapeOf;
  /** Fields that are given, and override what shapes show. */
  given: Json;
}

/** Channels of one head in SD 2.x's U-Net and in CLIP's text encoders. */
const HEAD_SIZE = 64;

/**
 * unet/config.json from shapes. Heads cannot be seen: where attention is entered by 1×1 convolutions, as in SD 1.x, there
 * are 8 at every level; where by matrices, as in SD 2.x, each is 64 wide. Norms have 32 groups.
 * @throws {CheckpointError} where a tensor that shows a field is missing, or channels are no multiple of a head's.
 */
export function deriveUNet({ path, shapeOf, given }: Derivation): Json {
  const size = sizeIn(path, "unet", shapeOf);
  const levels = count((i) => shapeOf(`down_blocks.${i}.resnets.0.conv1.weight`));
  const channels = range(levels, (i) => size(`down_blocks.${i}.resnets.0.conv1.weight`, 0));
  const layers = range(levels, (i) => count((j) => shapeOf(`down_blocks.${i}.resnets.${j}.conv1.weight`)));
  const attends = range(levels, (i) => !!shapeOf(`down_blocks.${i}.attentions.0.norm.weight`));
  const depths = range(
    levels,
    (i) => Math.max(1, count((j) => shapeOf(`down_blocks.${i}.attentions.0.transformer_blocks.${j}.norm1.weight`))),
  );
  const middle = "mid_block.attentions.0";
  size(`${middle}.proj_in.weight`, 0);
  const linear = shapeOf(`${middle}.proj_in.weight`)?.length === 2;
  const heads = given.attention_head_dim ?? given.num_attention_heads ??
    (linear ? headsOf(path, "unet", "attention_head_dim", channels) : 8);
  return {
    _class_name: "UNet2DConditionModel",
    sample_size: 64,
    in_channels: size("conv_in.weight", 1),
    out_channels: size("conv_out.weight", 0),
    block_out_channels: channels,
    layers_per_block: same(layers),
    down_block_types: attends.map((attend) => attend ? "CrossAttnDownBlock2D" : "DownBlock2D"),
    up_block_types: range(
      levels,
      (i) => shapeOf(`up_blocks.${i}.attentions.0.norm.weight`) ? "CrossAttnUpBlock2D" : "UpBlock2D",
    ),
    transformer_layers_per_block: same(depths),
    cross_attention_dim: size(`${middle}.transformer_blocks.0.attn2.to_k.weight`, 1),
    attention_head_dim: heads,
    use_linear_projection: linear,
    ...given,
  };
}

/**
 * vae/config.json from shapes. Norms have 32 groups, and the scaling factor is that of SD 1.x and 2.x.
 * @throws {CheckpointError} where a tensor that shows a field is missing.
 */
export function deriveVAE({ path, shapeOf, given }: Derivation): Json {
  const size = sizeIn(path, "vae", shapeOf);
  const levels = count((i) => shapeOf(`encoder.down_blocks.${i}.resnets.0.conv1.weight`));
  return {
    _class_name: "AutoencoderKL",
    in_channels: size("encoder.conv_in.weight", 1),
    out_channels: size("decoder.conv_out.weight", 0),
    latent_channels: size("decoder.conv_in.weight", 1),
    block_out_channels: range(levels, (i) => size(`encoder.down_blocks.${i}.resnets.0.conv1.weight`, 0)),
    layers_per_block: count((j) => shapeOf(`encoder.down_blocks.0.resnets.${j}.conv1.weight`)),
    use_quant_conv: !!shapeOf("quant_conv.weight"),
    use_post_quant_conv: !!shapeOf("post_quant_conv.weight"),
    mid_block_add_attention: !!shapeOf("encoder.mid_block.attentions.0.to_q.weight"),
    scaling_factor: 0.18215,
    ...given,
  };
}

/**
 * text_encoder/config.json from shapes. Heads are 64 wide; the activation is OpenAI's quick_gelu, or the gelu of OpenCLIP
 * where `openClip` says that it is one.
 * @throws {CheckpointError} where a tensor that shows a field is missing, or channels are no multiple of a head's.
 */
export function deriveTextEncoder({ path, shapeOf, given }: Derivation, { openClip }: { openClip: boolean }): Json {
  const size = sizeIn(path, "text_encoder", shapeOf);
  const width = size("text_model.embeddings.token_embedding.weight", 1);
  return {
    _class_name: "CLIPTextModel",
    vocab_size: size("text_model.embeddings.token_embedding.weight", 0),
    hidden_size: width,
    intermediate_size: size("text_model.encoder.layers.0.mlp.fc1.weight", 0),
    num_hidden_layers: count((i) => shapeOf(`text_model.encoder.layers.${i}.mlp.fc1.weight`)),
    num_attention_heads: given.num_attention_heads ?? headsOf(path, "text_encoder", "num_attention_heads", [width])[0],
    max_position_embeddings: size("text_model.embeddings.position_embedding.weight", 0),
    hidden_act: openClip ? "gelu" : "quick_gelu",
    ...given,
  };
}

function headsOf(path: string, component: string, field: string, channels: readonly number[]): number[] {
  const odd = channels.find((width) => width % HEAD_SIZE !== 0);
  if (odd === undefined) return channels.map((width) => width / HEAD_SIZE);
  const where = `${path.replace(/\.safetensors$/, "")}.json`;
  throw new CheckpointError(
    `Cannot tell the heads of the ${component} in ${path}: ${odd} channels are no multiple of ${HEAD_SIZE}; ` +
      `say "${field}" under "${component}" in ${where}`,
  );
}

/** A reader of one size of a tensor that has to be there. */
function sizeIn(path: string, component: string, shapeOf: ShapeOf): (name: string, axis: number) => number {
  return (name, axis) => {
    const size = shapeOf(name)?.[axis];
    if (size !== undefined) return size;
    throw new CheckpointError(`Cannot open ${path}: its ${component} has no ${name}, or not one of rank ${axis + 1}`);
  };
}

/** How many there are, counted from 0. */
function count(has: (i: number) => unknown): number {
  let i = 0;
  while (has(i)) i++;
  return i;
}

function range<T>(length: number, item: (i: number) => T): T[] {
  return Array.from({ length }, (_, i) => item(i));
}

/** One number for all where they are equal, else the list. */
function same(values: number[]): number | number[] {
  return values.every((value) => value === values[0]) ? values[0] : values;
}
