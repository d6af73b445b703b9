/** unet/config.json: the fields of diffusers' UNet2DConditionModel that shape the network. */
import { ConfigError, ConfigReader } from "../config.ts";

export interface UNetConfig {
  sample_size: number;
  in_channels: number;
  out_channels: number;
  block_out_channels: number[];
  down_block_types: ("CrossAttnDownBlock2D" | "DownBlock2D")[];
  up_block_types: ("CrossAttnUpBlock2D" | "UpBlock2D")[];
  layers_per_block: number[];
  transformer_layers_per_block: number[];
  cross_attention_dim: number;
  /** Number of heads of each down block; published configs call it `attention_head_dim`, a well-known misnomer. */
  heads: number[];
  norm_num_groups: number;
  norm_eps: number;
  use_linear_projection: boolean;
  flip_sin_to_cos: boolean;
  freq_shift: number;
  /** Width of the guidance embedding of consistency models, 0 without one. */
  time_cond_proj_dim: number;
}

/** @throws {ConfigError} when a field is malformed or asks for a network that is not built here. */
export function readUNetConfig(config: unknown): UNetConfig {
  const read = new ConfigReader(config, "unet");
  read.only({
    act_fn: "silu",
    addition_embed_type: null,
    attention_type: "default",
    center_input_sample: false,
    class_embed_type: null,
    conv_in_kernel: 3,
    conv_out_kernel: 3,
    cross_attention_norm: null,
    downsample_padding: 1,
    dual_cross_attention: false,
    encoder_hid_dim_type: null,
    mid_block_only_cross_attention: null,
    mid_block_scale_factor: 1,
    mid_block_type: "UNetMidBlock2DCrossAttn",
    only_cross_attention: false,
    resnet_out_scale_factor: 1,
    resnet_skip_time_act: false,
    resnet_time_scale_shift: "default",
    reverse_transformer_layers_per_block: null,
    time_embedding_act_fn: null,
    time_embedding_type: "positional",
    timestep_post_act: null,
  });
  const block_out_channels = read.integers("block_out_channels");
  const blocks = block_out_channels.length;
  const down_block_types = read.choices("down_block_types", ["CrossAttnDownBlock2D", "DownBlock2D"]);
  const up_block_types = read.choices("up_block_types", ["CrossAttnUpBlock2D", "UpBlock2D"]);
  if (down_block_types.length !== blocks || up_block_types.length !== blocks) {
    throw new ConfigError(
      `unet/config.json: ${blocks} block_out_channels need as many down_block_types and up_block_types`,
    );
  }
  return {
    sample_size: read.integer("sample_size", 64),
    in_channels: read.integer("in_channels", 4),
    out_channels: read.integer("out_channels", 4),
    block_out_channels,
    down_block_types,
    up_block_types,
    layers_per_block: read.integerOrList("layers_per_block", blocks, 2),
    transformer_layers_per_block: read.integerOrList("transformer_layers_per_block", blocks, 1),
    cross_attention_dim: read.integer("cross_attention_dim", 1280),
    heads: read.integerOrList(
      read.has("num_attention_heads") ? "num_attention_heads" : "attention_head_dim",
      blocks,
      8,
    ),
    norm_num_groups: read.integer("norm_num_groups", 32),
    norm_eps: read.number("norm_eps", 1e-5),
    use_linear_projection: read.boolean("use_linear_projection", false),
    flip_sin_to_cos: read.boolean("flip_sin_to_cos", true),
    freq_shift: read.number("freq_shift", 0),
    time_cond_proj_dim: read.has("time_cond_proj_dim") ? read.integer("time_cond_proj_dim") : 0,
  };
}
