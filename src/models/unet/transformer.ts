/** Self-attention over the picture and cross-attention to the text, as diffusers' Transformer2DModel. */
import type { Value } from "../../graph/graph.ts";
import { Conv2d, GatedLinear, GroupNorm, LayerNorm, Linear } from "../../nn/layers.ts";
import { Module } from "../../nn/module.ts";
import { attention } from "../../ops/attention.ts";
import { inParts } from "../../ops/bands.ts";
import { add } from "../../ops/elementwise.ts";
import { matchTokens, mergeTokens, type Merging, unmergeTokens } from "../../ops/merge.ts";

class Attention extends Module {
  to_q: Linear;
  to_k: Linear;
  to_v: Linear;
  to_out: [Linear];

  constructor(channels: number, contextChannels: number, readonly heads: number) {
    super();
    this.to_q = new Linear(channels, channels, { bias: false });
    this.to_k = new Linear(contextChannels, channels, { bias: false });
    this.to_v = new Linear(contextChannels, channels, { bias: false });
    this.to_out = [new Linear(channels, channels)];
  }

  /** `x` [images, pixels, channels], `context` [images, tokens, contextChannels]. */
  forward(x: Value, context: Value): Value {
    const [q, k, v] = [this.to_q.forward(x), this.to_k.forward(context), this.to_v.forward(context)];
    return this.to_out[0].forward(attention(q, k, v, { heads: this.heads }));
  }
}

class GEGLU extends Module {
  proj: GatedLinear;

  constructor(inFeatures: number, outFeatures: number) {
    super();
    this.proj = new GatedLinear(inFeatures, outFeatures);
  }

  forward(x: Value): Value {
    return this.proj.forward(x);
  }
}

class FeedForward extends Module {
  net: [GEGLU, null, Linear]; // the gap is dropout

  constructor(channels: number) {
    super();
    this.net = [new GEGLU(channels, 4 * channels), null, new Linear(4 * channels, channels)];
  }

  forward(x: Value): Value {
    // Four times as many channels are the U-Net's largest value: a large picture has more than most devices bind.
    return inParts(x, 4 * x.shape.at(-1)!, (part) => this.net[2].forward(this.net[0].forward(part)));
  }
}

/** Self-attention, over merged tokens where `merging` says so, cross-attention and a feed-forward, each added. */
export class BasicTransformerBlock extends Module {
  norm1: LayerNorm;
  attn1: Attention;
  norm2: LayerNorm;
  attn2: Attention;
  norm3: LayerNorm;
  ff: FeedForward;

  constructor(channels: number, contextChannels: number, heads: number) {
    super();
    this.norm1 = new LayerNorm(channels);
    this.attn1 = new Attention(channels, channels, heads);
    this.norm2 = new LayerNorm(channels);
    this.attn2 = new Attention(channels, contextChannels, heads);
    this.norm3 = new LayerNorm(channels);
    this.ff = new FeedForward(channels);
  }

  forward(x: Value, context: Value, merging?: Merging): Value {
    const normed = this.norm1.forward(x), merge = merging && matchTokens(x, merging);
    const attended = merge ? mergeTokens(normed, merge) : normed, self = this.attn1.forward(attended, attended);
    let h = add(x, merge ? unmergeTokens(self, merge) : self);
    h = add(h, this.attn2.forward(this.norm2.forward(h), context));
    return add(h, this.ff.forward(this.norm3.forward(h)));
  }
}

/** What a transformer needs of the U-Net's config. */
export interface TransformerOptions {
  heads: number;
  layers: number;
  contextChannels: number;
  groups: number;
  linearProjection: boolean;
  /** Whether its tokens are the latents' own pixels, where similar ones may be merged. */
  merges?: boolean;
}

export class Transformer2DModel extends Module {
  norm: GroupNorm;
  proj_in: Conv2d | Linear;
  transformer_blocks: BasicTransformerBlock[];
  proj_out: Conv2d | Linear;

  readonly #merges: boolean;

  constructor(channels: number, options: TransformerOptions) {
    super();
    const { heads, layers, contextChannels, groups, linearProjection, merges = false } = options;
    this.#merges = merges;
    const projection = () => linearProjection ? new Linear(channels, channels) : new Conv2d(channels, channels, 1);
    this.norm = new GroupNorm(groups, channels, { epsilon: 1e-6 });
    this.proj_in = projection();
    this.transformer_blocks = Array.from(
      { length: layers },
      () => new BasicTransformerBlock(channels, contextChannels, heads),
    );
    this.proj_out = projection();
  }

  /** `x` [images, height, width, channels]. Channels-last, a 1×1 convolution and a linear layer are the same matmul. */
  forward(x: Value, context: Value): Value {
    const [images, height, width, channels] = x.shape;
    let h = this.proj_in.forward(this.norm.forward(x)).view([images, height * width, channels]);
    const ratio = this.#merges ? x.graph.target.tokenMerging : undefined;
    for (const block of this.transformer_blocks) {
      h = block.forward(h, context, ratio === undefined ? undefined : { height, width, ratio });
    }
    return add(this.proj_out.forward(h.view(x.shape)), x);
  }
}
