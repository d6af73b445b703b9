/** The noise predictor (Rombach et al. 2022), as diffusers' UNet2DConditionModel. */
import type { Value } from "../../graph/graph.ts";
import { Conv2d, GroupNorm } from "../../nn/layers.ts";
import { Module } from "../../nn/module.ts";
import { silu } from "../../ops/elementwise.ts";
import { DownBlock2D, type LevelOptions, MidBlock2D, UpBlock2D } from "./blocks.ts";
import type { UNetConfig } from "./config.ts";
import { TimestepEmbedding } from "./embeddings.ts";

/** What a call of the U-Net is given beside its input. */
export interface UNetOptions {
  /** Of consistency models: the projection of the guidance scale [1, time_cond_proj_dim]. */
  condition?: Value;
  /** Where the network is cut, for calls that follow one another: see {@link UNetCut}. */
  cut?: UNetCut;
}

/**
 * A cut through the U-Net's first level (Ma et al. 2023, "DeepCache: Accelerating Diffusion Models for Free"). Outside of it are
 * conv_in, the first `depth` down layers and the last `depth` + 1 up layers; inside all else, which gives the hidden states
 * that enter those up layers. They change little from step to step: one call keeps them, and later calls run the outside alone.
 */
export interface UNetCut {
  /** 0 to the first level's layers. */
  depth: number;
  /** Hidden states of an earlier call, of the shape that `deepShape` gives: what is inside does not run. */
  deep?: Value;
  /** Told of the hidden states, where the inside runs. */
  keep?(deep: Value): void;
}

export class UNet2DConditionModel extends Module {
  conv_in: Conv2d;
  time_embedding: TimestepEmbedding;
  down_blocks: DownBlock2D[] = [];
  mid_block: MidBlock2D;
  up_blocks: UpBlock2D[] = [];
  conv_norm_out: GroupNorm;
  conv_out: Conv2d;

  constructor(readonly config: UNetConfig) {
    super();
    const { block_out_channels: channels, norm_num_groups: groups, norm_eps: epsilon, heads, cross_attention_dim } =
      config;
    const last = channels.length - 1, temb = 4 * channels[0];
    const transformer = (level: number) => ({
      heads: heads[level],
      layers: config.transformer_layers_per_block[level],
      contextChannels: cross_attention_dim,
      groups,
      linearProjection: config.use_linear_projection,
      merges: level === 0,
    });
    const level = (at: number, type: string): LevelOptions => ({
      resnet: { groups, epsilon, temb },
      transformer: type.startsWith("CrossAttn") ? transformer(at) : undefined,
      layers: config.layers_per_block[at],
    });

    this.conv_in = new Conv2d(config.in_channels, channels[0], 3);
    this.time_embedding = new TimestepEmbedding(channels[0], temb, config.time_cond_proj_dim);
    const skips = [channels[0]];
    for (const [i, out] of channels.entries()) {
      const options = level(i, config.down_block_types[i]);
      this.down_blocks.push(new DownBlock2D(channels[Math.max(0, i - 1)], out, options, i === last));
      for (let layer = 0; layer < options.layers + (i === last ? 0 : 1); layer++) skips.push(out);
    }
    this.mid_block = new MidBlock2D(channels[last], { groups, epsilon, temb }, transformer(last));
    for (let i = last; i >= 0; i--) {
      const options = level(i, config.up_block_types[last - i]);
      const taken = Array.from({ length: options.layers + 1 }, () => skips.pop()!);
      this.up_blocks.push(new UpBlock2D(channels[Math.min(last, i + 1)], channels[i], taken, options, i === 0));
    }
    this.conv_norm_out = new GroupNorm(groups, channels[0], { epsilon });
    this.conv_out = new Conv2d(channels[0], config.out_channels, 3);
  }

  /**
   * `sample` [images, height, width, in_channels], `timestep` its projection [1, block_out_channels[0]], `context`
   * [images, tokens, cross_attention_dim]; to [images, height, width, out_channels].
   */
  forward(sample: Value, timestep: Value, context: Value, { condition, cut }: UNetOptions = {}): Value {
    const temb = silu(this.time_embedding.forward(timestep, condition)); // every resnet starts with this SiLU
    const skips = [this.conv_in.forward(sample)], top = this.up_blocks.at(-1)!;
    const { depth, deep, keep } = cut ?? { depth: 0 }, entry = top.resnets.length - 1 - depth;
    let h: Value;
    if (deep) {
      skips.push(...this.down_blocks[0].layers(skips[0], temb, context, depth));
      h = deep;
    } else {
      for (const block of this.down_blocks) skips.push(...block.forward(skips.at(-1)!, temb, context));
      h = this.mid_block.forward(skips.at(-1)!, temb, context);
      for (const block of this.up_blocks.slice(0, -1)) h = block.forward(h, skips, temb, context);
      h = top.layers(h, skips, temb, context, 0, entry);
      keep?.(h);
    }
    h = top.layers(h, skips, temb, context, entry);
    return this.conv_out.forward(silu(this.conv_norm_out.forward(h)));
  }

  /** The hidden states at a {@link UNetCut} of this depth, of a sample [images, height, width, …]. */
  deepShape(depth: number, [images, height, width]: readonly number[]): [number, number, number, number] {
    const { block_out_channels: channels, layers_per_block: [layers] } = this.config;
    if (!(depth >= 0 && depth <= layers)) {
      throw new RangeError(`Cannot cut the U-Net at depth ${depth}, 0 to ${layers} would do`);
    }
    return [images, height, width, channels[depth === layers ? Math.min(1, channels.length - 1) : 0]];
  }
}
