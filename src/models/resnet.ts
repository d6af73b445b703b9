/** The residual block that the U-Net and the VAE share. */
import type { Value } from "../graph/graph.ts";
import { Conv2d, GroupNorm, Linear } from "../nn/layers.ts";
import { Module } from "../nn/module.ts";
import { add, addRow, silu } from "../ops/elementwise.ts";

/** Channels in and out, and how to normalise; `temb`: channels of the time embedding, 0 in a VAE. */
export interface ResnetOptions {
  groups: number;
  epsilon: number;
  temb?: number;
}

/** Two 3×3 convolutions around a timestep shift, with a residual path. */
export class ResnetBlock2D extends Module {
  norm1: GroupNorm;
  conv1: Conv2d;
  time_emb_proj?: Linear;
  norm2: GroupNorm;
  conv2: Conv2d;
  conv_shortcut?: Conv2d;

  constructor(inChannels: number, outChannels: number, { groups, epsilon, temb = 0 }: ResnetOptions) {
    super();
    this.norm1 = new GroupNorm(groups, inChannels, { epsilon });
    this.conv1 = new Conv2d(inChannels, outChannels, 3);
    if (temb) this.time_emb_proj = new Linear(temb, outChannels);
    this.norm2 = new GroupNorm(groups, outChannels, { epsilon });
    this.conv2 = new Conv2d(outChannels, outChannels, 3);
    if (inChannels !== outChannels) this.conv_shortcut = new Conv2d(inChannels, outChannels, 1);
  }

  /** `x` is [images, height, width, inChannels]; `temb` [1, temb], already through SiLU, shared by all images. */
  forward(x: Value, temb?: Value): Value {
    let h = this.conv1.forward(silu(this.norm1.forward(x)));
    if (this.time_emb_proj && temb) h = addRow(h, this.time_emb_proj.forward(temb));
    h = this.conv2.forward(silu(this.norm2.forward(h)));
    return add(this.conv_shortcut?.forward(x) ?? x, h);
  }
}

/** Halves the picture by a strided 3×3 convolution. */
export class Downsample2D extends Module {
  conv: Conv2d;

  /** `padding` 1 on all sides as in the U-Net, or 0 with one row and column after, as in the VAE. */
  constructor(channels: number, { padding }: { padding: 0 | 1 }) {
    super();
    this.conv = new Conv2d(channels, channels, 3, { stride: 2, padding, paddingAfter: 1 });
  }

  forward(x: Value): Value {
    return this.conv.forward(x);
  }
}

/** Enlarges the picture by nearest neighbours, then a 3×3 convolution. */
export class Upsample2D extends Module {
  conv: Conv2d;

  constructor(channels: number) {
    super();
    this.conv = new Conv2d(channels, channels, 3);
  }

  /** To [images, ...size, channels]; twice the size where none is given. */
  forward(x: Value, size: readonly [number, number] = [2 * x.shape[1], 2 * x.shape[2]]): Value {
    return this.conv.forward(x, size);
  }
}
