/**
 * The VAE's convolutional ends in bands of rows, layer by layer: what the undivided network computes, without its largest
 * values. A convolution reads a row beyond its band; a norm's statistics are those of the whole picture. So there are no
 * seams, and nothing is blended.
 */
import type { Value } from "../../graph/graph.ts";
import type { Conv2d, GroupNorm } from "../../nn/layers.ts";
import { bandNorm, type Bands, bandWindow, joinBands } from "../../ops/bands.ts";
import { add } from "../../ops/elementwise.ts";
import { conv2d } from "../../ops/conv2d.ts";
import type { ResnetBlock2D } from "../resnet.ts";

/** How a picture is divided. */
export interface Banding {
  /** Bytes that a band's value takes, about. */
  bytes: number;
  /** Channels of the widest value. */
  channels: number;
  groups: number;
  epsilon: number;
  /** Pixels that one latent stands for along a side: bands have as many rows, or a multiple. */
  scale: number;
}

/** How a convolution moves, and what it reads and adds. */
interface Move {
  /** Rows of the output for one of the input: 2 enlarges first, 1/2 strides. */
  factor?: 1 | 2 | 0.5;
  /** The picture is normalised and goes through SiLU first. */
  norm?: GroupNorm;
  /** What is added to a band of the output, by its place in the output. */
  residual?(band: number): Value;
}

export class BandedLayers {
  constructor(readonly banding: Banding) {}

  /** A picture in one value where one band holds it all. */
  settle(x: Bands): Bands {
    return heightOf(x) <= this.#rows(x[0].shape[2]) ? [joinBands(x)] : x;
  }

  /** Two convolutions with norms before them and a residual path around them. */
  resnet(block: ResnetBlock2D, x: Bands): Bands {
    if (x.length === 1) return [block.forward(x[0])];
    const h = this.conv(block.conv1, x, { norm: block.norm1 });
    const shortcut = (i: number) => block.conv_shortcut?.forward(x[i]) ?? x[i];
    return this.conv(block.conv2, h, { norm: block.norm2, residual: shortcut });
  }

  /** A 3×3 convolution of a picture, as large a one as it reads, twice as large, or half. */
  conv({ weight, bias }: Conv2d, x: Bands, { factor = 1, norm, residual }: Move = {}): Bands {
    const { groups, epsilon } = this.banding, [, , width] = x[0].shape;
    const scale = norm && bandNorm(x, norm.weight, norm.bias, { groups, epsilon });
    const [stride, enlarged] = factor === 0.5 ? [2, 1] : [1, factor], most = this.#rows(width * factor);
    const y: Value[] = [];
    for (const [band, { shape: [, height] }] of x.entries()) {
      for (let top = 0; top < height * factor; top += most) {
        const rows = Math.min(most, height * factor - top);
        const window = bandWindow(x, {
          band,
          // A strided convolution of the VAE has a row and a column of zeros after the picture alone.
          first: stride === 2 ? 2 * top : top - 1,
          rows: stride * (rows - 1) + 3,
          left: stride === 2 ? 0 : 1,
          right: 1,
          factor: enlarged,
          scale,
        });
        const h = conv2d(window, weight, bias, { stride, padding: 0 });
        y.push(residual ? add(residual(y.length), h) : h);
      }
    }
    return y;
  }

  /** Rows of a band of this width: a power of two, so that bands of all sizes meet. */
  #rows(width: number): number {
    const { bytes, channels, scale } = this.banding;
    const rows = bytes / ((width + 2) * channels * 4);
    return Math.max(scale, 2 ** Math.floor(Math.log2(Math.max(1, rows))));
  }
}

function heightOf(bands: Bands): number {
  return bands.reduce((sum, { shape }) => sum + shape[1], 0);
}
