/** The U-Net's halves, level by level. */
import type { Value } from "../../graph/graph.ts";
import { Module } from "../../nn/module.ts";
import { concat } from "../../ops/concat.ts";
import { Downsample2D, ResnetBlock2D, type ResnetOptions, Upsample2D } from "../resnet.ts";
import { Transformer2DModel, type TransformerOptions } from "./transformer.ts";

/** What all blocks of one U-Net level are made of. */
export interface LevelOptions {
  resnet: ResnetOptions;
  /** None in the levels without text. */
  transformer?: TransformerOptions;
  layers: number;
}

/** DownBlock2D, and CrossAttnDownBlock2D where the level has transformers. */
export class DownBlock2D extends Module {
  resnets: ResnetBlock2D[] = [];
  attentions?: Transformer2DModel[];
  downsamplers?: [Downsample2D];

  constructor(inChannels: number, outChannels: number, { resnet, transformer, layers }: LevelOptions, isLast: boolean) {
    super();
    for (let i = 0; i < layers; i++) {
      this.resnets.push(new ResnetBlock2D(i ? outChannels : inChannels, outChannels, resnet));
    }
    if (transformer) this.attentions = this.resnets.map(() => new Transformer2DModel(outChannels, transformer));
    if (!isLast) this.downsamplers = [new Downsample2D(outChannels, { padding: 1 })];
  }

  /** Returns every intermediate value, the last of which goes on down; all of them are the up half's skips. */
  forward(x: Value, temb: Value, context: Value): Value[] {
    const skips = this.layers(x, temb, context);
    if (this.downsamplers) skips.push(this.downsamplers[0].forward(skips.at(-1)!));
    return skips;
  }

  /** The first `count` layers alone. */
  layers(x: Value, temb: Value, context: Value, count: number = this.resnets.length): Value[] {
    const skips: Value[] = [];
    for (const [i, resnet] of this.resnets.slice(0, count).entries()) {
      x = resnet.forward(x, temb);
      if (this.attentions) x = this.attentions[i].forward(x, context);
      skips.push(x);
    }
    return skips;
  }
}

/** UNetMidBlock2DCrossAttn. */
export class MidBlock2D extends Module {
  resnets: [ResnetBlock2D, ResnetBlock2D];
  attentions: [Transformer2DModel];

  constructor(channels: number, resnet: ResnetOptions, transformer: TransformerOptions) {
    super();
    this.resnets = [new ResnetBlock2D(channels, channels, resnet), new ResnetBlock2D(channels, channels, resnet)];
    this.attentions = [new Transformer2DModel(channels, transformer)];
  }

  forward(x: Value, temb: Value, context: Value): Value {
    const h = this.attentions[0].forward(this.resnets[0].forward(x, temb), context);
    return this.resnets[1].forward(h, temb);
  }
}

/** UpBlock2D, and CrossAttnUpBlock2D where the level has transformers. */
export class UpBlock2D extends Module {
  resnets: ResnetBlock2D[] = [];
  attentions?: Transformer2DModel[];
  upsamplers?: [Upsample2D];

  /** `skipChannels`: of each skip in the order in which they are taken. */
  constructor(
    inChannels: number,
    outChannels: number,
    skipChannels: readonly number[],
    { resnet, transformer }: LevelOptions,
    isLast: boolean,
  ) {
    super();
    for (const [i, skip] of skipChannels.entries()) {
      this.resnets.push(new ResnetBlock2D((i ? outChannels : inChannels) + skip, outChannels, resnet));
    }
    if (transformer) this.attentions = this.resnets.map(() => new Transformer2DModel(outChannels, transformer));
    if (!isLast) this.upsamplers = [new Upsample2D(outChannels)];
  }

  /** Takes its skips from the end of `skips`; grows to the size of the next one, which odd sizes need. */
  forward(x: Value, skips: Value[], temb: Value, context: Value): Value {
    x = this.layers(x, skips, temb, context);
    if (!this.upsamplers) return x;
    const [, height, width] = skips.at(-1)!.shape;
    return this.upsamplers[0].forward(x, [height, width]);
  }

  /** The layers from number `from` to before `to` alone. */
  layers(x: Value, skips: Value[], temb: Value, context: Value, from = 0, to: number = this.resnets.length): Value {
    for (let i = from; i < to; i++) {
      x = this.resnets[i].forward(concat(x, skips.pop()!), temb);
      if (this.attentions) x = this.attentions[i].forward(x, context);
    }
    return x;
  }
}
