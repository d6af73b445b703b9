/** Pictures to latents and back (Kingma and Welling 2013; Esser et al. 2021), as diffusers' AutoencoderKL. */
import type { Value } from "../../graph/graph.ts";
import { Conv2d, GroupNorm, Linear } from "../../nn/layers.ts";
import { Module } from "../../nn/module.ts";
import { attention } from "../../ops/attention.ts";
import { type Bands, joinBands } from "../../ops/bands.ts";
import { add, silu } from "../../ops/elementwise.ts";

import { Downsample2D, ResnetBlock2D, type ResnetOptions, Upsample2D } from "../resnet.ts";
import { BandedLayers } from "./banded.ts";
import type { VAEConfig } from "./config.ts";

/** What the norms add to a variance. */
const EPSILON = 1e-6;

/** One head over all pixels. */
class Attention extends Module {
  group_norm: GroupNorm;
  to_q: Linear;
  to_k: Linear;
  to_v: Linear;
  to_out: [Linear];

  constructor(channels: number, { groups, epsilon }: ResnetOptions) {
    super();
    this.group_norm = new GroupNorm(groups, channels, { epsilon });
    this.to_q = new Linear(channels, channels);
    this.to_k = new Linear(channels, channels);
    this.to_v = new Linear(channels, channels);
    this.to_out = [new Linear(channels, channels)];
  }

  forward(x: Value): Value {
    const [images, height, width, channels] = x.shape;
    const h = this.group_norm.forward(x).view([images, height * width, channels]);
    const [q, k, v] = [this.to_q.forward(h), this.to_k.forward(h), this.to_v.forward(h)];
    return add(this.to_out[0].forward(attention(q, k, v, { heads: 1 })).view(x.shape), x);
  }
}

class MidBlock2D extends Module {
  resnets: [ResnetBlock2D, ResnetBlock2D];
  attentions: Attention[];

  constructor(channels: number, options: ResnetOptions, { hasAttention }: { hasAttention: boolean }) {
    super();
    this.resnets = [new ResnetBlock2D(channels, channels, options), new ResnetBlock2D(channels, channels, options)];
    this.attentions = hasAttention ? [new Attention(channels, options)] : [];
  }

  forward(x: Value): Value {
    let h = this.resnets[0].forward(x);
    for (const attention of this.attentions) h = attention.forward(h);
    return this.resnets[1].forward(h);
  }
}

class DownEncoderBlock2D extends Module {
  resnets: ResnetBlock2D[] = [];
  downsamplers?: [Downsample2D];

  constructor(inChannels: number, outChannels: number, layers: number, options: ResnetOptions, isLast: boolean) {
    super();
    for (let i = 0; i < layers; i++) {
      this.resnets.push(new ResnetBlock2D(i ? outChannels : inChannels, outChannels, options));
    }
    if (!isLast) this.downsamplers = [new Downsample2D(outChannels, { padding: 0 })];
  }

  forward(x: Value): Value {
    for (const resnet of this.resnets) x = resnet.forward(x);
    return this.downsamplers?.[0].forward(x) ?? x;
  }
}

class UpDecoderBlock2D extends Module {
  resnets: ResnetBlock2D[] = [];
  upsamplers?: [Upsample2D];

  constructor(inChannels: number, outChannels: number, layers: number, options: ResnetOptions, isLast: boolean) {
    super();
    for (let i = 0; i < layers; i++) {
      this.resnets.push(new ResnetBlock2D(i ? outChannels : inChannels, outChannels, options));
    }
    if (!isLast) this.upsamplers = [new Upsample2D(outChannels)];
  }

  forward(x: Value): Value {
    for (const resnet of this.resnets) x = resnet.forward(x);
    return this.upsamplers?.[0].forward(x) ?? x;
  }
}

class Encoder extends Module {
  conv_in: Conv2d;
  down_blocks: DownEncoderBlock2D[];
  mid_block: MidBlock2D;
  conv_norm_out: GroupNorm;
  conv_out: Conv2d;

  constructor(config: VAEConfig) {
    super();
    const { block_out_channels: channels, layers_per_block: layers } = config;
    const options = { groups: config.norm_num_groups, epsilon: EPSILON }, last = channels.length - 1;
    this.conv_in = new Conv2d(config.in_channels, channels[0], 3);
    this.down_blocks = channels.map((out, i) =>
      new DownEncoderBlock2D(channels[Math.max(0, i - 1)], out, layers, options, i === last)
    );
    this.mid_block = new MidBlock2D(channels[last], options, { hasAttention: config.mid_block_add_attention });
    this.conv_norm_out = new GroupNorm(options.groups, channels[last], options);
    this.conv_out = new Conv2d(channels[last], 2 * config.latent_channels, 3);
  }

  forward(x: Value): Value {
    let h = this.conv_in.forward(x);
    for (const block of this.down_blocks) h = block.forward(h);
    h = this.mid_block.forward(h);
    return this.conv_out.forward(silu(this.conv_norm_out.forward(h)));
  }

  forwardInBands(x: Value, layers: BandedLayers): Value {
    let h = layers.conv(this.conv_in, [x]);
    for (const { resnets, downsamplers } of this.down_blocks) {
      for (const resnet of resnets) h = layers.resnet(resnet, h);
      if (downsamplers) h = layers.settle(layers.conv(downsamplers[0].conv, h, { factor: 0.5 }));
    }
    const whole = this.mid_block.forward(joinBands(h)); // whose attention sees all pixels
    return this.conv_out.forward(silu(this.conv_norm_out.forward(whole)));
  }
}

class Decoder extends Module {
  conv_in: Conv2d;
  mid_block: MidBlock2D;
  up_blocks: UpDecoderBlock2D[];
  conv_norm_out: GroupNorm;
  conv_out: Conv2d;

  constructor(config: VAEConfig) {
    super();
    const channels = config.block_out_channels.toReversed(), layers = config.layers_per_block + 1;
    const options = { groups: config.norm_num_groups, epsilon: EPSILON }, last = channels.length - 1;
    this.conv_in = new Conv2d(config.latent_channels, channels[0], 3);
    this.mid_block = new MidBlock2D(channels[0], options, { hasAttention: config.mid_block_add_attention });
    this.up_blocks = channels.map((out, i) =>
      new UpDecoderBlock2D(channels[Math.max(0, i - 1)], out, layers, options, i === last)
    );
    this.conv_norm_out = new GroupNorm(options.groups, channels[last], options);
    this.conv_out = new Conv2d(channels[last], config.out_channels, 3);
  }

  forward(z: Value): Value {
    let h = this.mid_block.forward(this.conv_in.forward(z));
    for (const block of this.up_blocks) h = block.forward(h);
    return this.conv_out.forward(silu(this.conv_norm_out.forward(h)));
  }

  forwardInBands(z: Value, layers: BandedLayers): Value {
    let h: Bands = [this.mid_block.forward(this.conv_in.forward(z))];
    for (const { resnets, upsamplers } of this.up_blocks) {
      for (const resnet of resnets) h = layers.resnet(resnet, h);
      if (upsamplers) h = layers.conv(upsamplers[0].conv, h, { factor: 2 });
    }
    return joinBands(layers.conv(this.conv_out, h, { norm: this.conv_norm_out }));
  }
}

/** How a picture goes through the VAE. */
export interface BandOptions {
  /** Divide pictures into bands whose values take about as many bytes: see {@link BandedLayers}. */
  bandBytes?: number;
}

export class AutoencoderKL extends Module {
  encoder: Encoder;
  decoder: Decoder;
  quant_conv?: Conv2d;
  post_quant_conv?: Conv2d;

  constructor(readonly config: VAEConfig) {
    super();
    const { latent_channels: latents, use_quant_conv, use_post_quant_conv } = config;
    this.encoder = new Encoder(config);
    this.decoder = new Decoder(config);
    if (use_quant_conv) this.quant_conv = new Conv2d(2 * latents, 2 * latents, 1);
    if (use_post_quant_conv) this.post_quant_conv = new Conv2d(latents, latents, 1);
  }

  /** Pixels one latent stands for, along each side: 8 for Stable Diffusion. */
  get scale(): number {
    return 2 ** (this.config.block_out_channels.length - 1);
  }

  /** [images, height, width, 3] in [-1, 1] to moments [images, height/8, width/8, 2 · latents]: means, log variances. */
  encode(x: Value, { bandBytes }: BandOptions = {}): Value {
    const moments = bandBytes ? this.encoder.forwardInBands(x, this.#layers(bandBytes)) : this.encoder.forward(x);
    return this.quant_conv?.forward(moments) ?? moments;
  }

  /** [images, height, width, latents], already divided by the scaling factor, to [images, 8·height, 8·width, 3]. */
  decode(z: Value, { bandBytes }: BandOptions = {}): Value {
    const code = this.post_quant_conv?.forward(z) ?? z;
    return bandBytes ? this.decoder.forwardInBands(code, this.#layers(bandBytes)) : this.decoder.forward(code);
  }

  #layers(bytes: number): BandedLayers {
    const { block_out_channels, norm_num_groups: groups } = this.config;
    const channels = Math.max(...block_out_channels);
    return new BandedLayers({ bytes, channels, groups, epsilon: EPSILON, scale: this.scale });
  }
}
