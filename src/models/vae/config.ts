/** vae/config.json: the fields of diffusers' AutoencoderKL that shape the network. */
import { ConfigReader } from "../config.ts";

export interface VAEConfig {
  in_channels: number;
  out_channels: number;
  latent_channels: number;
  block_out_channels: number[];
  layers_per_block: number;
  norm_num_groups: number;
  /** Latents are the VAE's code times this, so that their spread is about 1. */
  scaling_factor: number;
  use_quant_conv: boolean;
  use_post_quant_conv: boolean;
  mid_block_add_attention: boolean;
}

/** @throws {ConfigError} when a field is malformed or asks for a network that is not built here. */
export function readVAEConfig(config: unknown): VAEConfig {
  const read = new ConfigReader(config, "vae");
  read.only({ act_fn: "silu", shift_factor: null, latents_mean: null, latents_std: null });
  const block_out_channels = read.integers("block_out_channels");
  for (const field of ["down_block_types", "up_block_types"]) {
    if (read.has(field)) read.choices(field, ["DownEncoderBlock2D", "UpDecoderBlock2D"]);
  }
  return {
    in_channels: read.integer("in_channels", 3),
    out_channels: read.integer("out_channels", 3),
    latent_channels: read.integer("latent_channels", 4),
    block_out_channels,
    layers_per_block: read.integer("layers_per_block", 1),
    norm_num_groups: read.integer("norm_num_groups", 32),
    scaling_factor: read.number("scaling_factor", 0.18215),
    use_quant_conv: read.boolean("use_quant_conv", true),
    use_post_quant_conv: read.boolean("use_post_quant_conv", true),
    mid_block_add_attention: read.boolean("mid_block_add_attention", true),
  };
}
