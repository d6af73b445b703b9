/** The layers that own parameters. */
import { Parameter, type Value } from "../graph/graph.ts";
import { embed, embedWithVectors } from "../ops/embedding.ts";
import { conv2d, type ConvolutionOptions } from "../ops/conv2d.ts";
import { gatedLinear, linear } from "../ops/matmul.ts";
import { groupNorm, layerNorm } from "../ops/norm.ts";
import { Module } from "./module.ts";

export class Linear extends Module {
  weight: Parameter;
  bias?: Parameter;

  constructor(inFeatures: number, outFeatures: number, { bias = true } = {}) {
    super();
    this.weight = new Parameter([outFeatures, inFeatures], "matmul");
    if (bias) this.bias = new Parameter([outFeatures], "vector");
  }

  /** [..., inFeatures] to [..., outFeatures]. */
  forward(x: Value): Value {
    return linear(x, this.weight, this.bias);
  }
}

/** A linear layer to values and as many gates: value · gelu(gate). */
export class GatedLinear extends Module {
  weight: Parameter;
  bias: Parameter;

  constructor(inFeatures: number, outFeatures: number) {
    super();
    this.weight = new Parameter([2 * outFeatures, inFeatures], "gated");
    this.bias = new Parameter([2 * outFeatures], "vector");
  }

  /** [..., inFeatures] to [..., outFeatures]. */
  forward(x: Value): Value {
    return gatedLinear(x, this.weight, this.bias);
  }
}

export class Conv2d extends Module {
  weight: Parameter;
  bias: Parameter;
  readonly #options: ConvolutionOptions;

  constructor(inChannels: number, outChannels: number, kernelSize: number, options: ConvolutionOptions = {}) {
    super();
    const layout = kernelSize === 3 && (options.stride ?? 1) === 1 ? "convolution" : "matmul";
    this.weight = new Parameter([outChannels, inChannels, kernelSize, kernelSize], layout);
    this.bias = new Parameter([outChannels], "vector");
    this.#options = { padding: kernelSize >> 1, ...options };
  }

  /** [images, height, width, inChannels] to [images, …, outChannels]; `enlargeTo` as in {@link ConvolutionOptions}. */
  forward(x: Value, enlargeTo?: ConvolutionOptions["enlargeTo"]): Value {
    return conv2d(x, this.weight, this.bias, { ...this.#options, enlargeTo });
  }
}

export class GroupNorm extends Module {
  weight: Parameter;
  bias: Parameter;
  readonly #groups: number;
  readonly #epsilon: number;

  constructor(groups: number, channels: number, { epsilon = 1e-5 } = {}) {
    super();
    this.weight = new Parameter([channels], "vector");
    this.bias = new Parameter([channels], "vector");
    this.#groups = groups;
    this.#epsilon = epsilon;
  }

  forward(x: Value): Value {
    return groupNorm(x, this.weight, this.bias, { groups: this.#groups, epsilon: this.#epsilon });
  }
}

export class LayerNorm extends Module {
  weight: Parameter;
  bias: Parameter;
  readonly #epsilon: number;

  constructor(channels: number, { epsilon = 1e-5 } = {}) {
    super();
    this.weight = new Parameter([channels], "vector");
    this.bias = new Parameter([channels], "vector");
    this.#epsilon = epsilon;
  }

  forward(x: Value): Value {
    return layerNorm(x, this.weight, this.bias, { epsilon: this.#epsilon });
  }
}

/** A table of rows, looked up by {@link embed}. */
export class Embedding extends Module {
  weight: Parameter;

  constructor(rows: number, width: number) {
    super();
    this.weight = new Parameter([rows, width], "rows");
  }

  /** `ids` [images, length, 1] to [images, length, width], `positions` added; ids beyond the table are rows of `vectors`. */
  forward(ids: Value, positions: Embedding, vectors?: Value): Value {
    if (vectors) return embedWithVectors(ids, this.weight, positions.weight, vectors);
    return embed(ids, this.weight, positions.weight);
  }
}
