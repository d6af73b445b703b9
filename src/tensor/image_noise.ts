/** The noise of one image with A1111's ways to vary it: a second seed mixed in, another size's noise, another seed for steps. */
import { checkSeed, generatorOf, type Rng } from "./random.ts";
import { elements, type Shape } from "./shape.ts";

/** [channels, height, width] of latents. */
type LatentShape = readonly [channels: number, height: number, width: number];

export interface ImageNoiseOptions {
  seed: number | bigint;
  rng: Rng;
  shape: LatentShape;
  /** The seed whose noise the start's is turned towards, by `subseedStrength`: 0 not at all, 1 is the other's own. */
  subseed?: number | bigint;
  subseedStrength?: number;
  /** Latent height and width whose noise stands in the middle of the start's, or is cut to it. */
  resizeFrom?: readonly [height: number, width: number];
  /** ENSD: where not 0, draws after the start's are those of the seed plus this. */
  seedDelta?: number;
}

/** Draws of standard normals, row-major [channels, height, width]. */
export interface ImageNoise {
  /** The next draw: before the start's of the posterior, after it of the steps. */
  next(): Float32Array<ArrayBuffer>;
  /** The noise that the latents start from. */
  start(): Float32Array<ArrayBuffer>;
}

/**
 * The noise of one image, as A1111's ImageRNG draws it; without any of its ways the one stream of {@link gaussian}. Throws
 * a RangeError where a seed is not a whole number from 0 to 2⁶⁴ − 1.
 */
export function imageNoise(
  { seed, rng, shape, subseed = 0, subseedStrength = 0, resizeFrom, seedDelta = 0 }: ImageNoiseOptions,
): ImageNoise {
  const [channels] = shape, small: LatentShape = [channels, ...resizeFrom ?? [shape[1], shape[2]]];
  const resized = small[1] !== shape[1] || small[2] !== shape[2];
  const [own, other] = [checkSeed(seed), checkSeed(subseed)];
  let generator = generatorOf(rng, own), drawn = 0;
  const next = () => {
    drawn++;
    return generator.randn(elements(shape));
  };
  /** The draw of a seed that stands where the image's next one does. */
  const alike = (seed: bigint, shape: Shape) => {
    const generator = generatorOf(rng, seed);
    for (let i = 0; i < drawn; i++) generator.randn(elements(shape));
    return generator.randn(elements(shape));
  };
  return {
    next,
    start() {
      const mixed = subseedStrength === 0 ? undefined : alike(other, small);
      let noise = resized ? alike(own, small) : next();
      if (mixed) noise = slerp(subseedStrength, noise, mixed, small);
      if (resized) noise = paste(noise, small, next(), shape);
      if (seedDelta !== 0) generator = generatorOf(rng, BigInt.asUintN(64, own + BigInt(seedDelta)));
      return noise;
    },
  };
}

/**
 * From `low` towards `high` along the sphere, for each column of each channel; where columns are all but equal, along the
 * line and from `high` to `low`, as A1111 has it.
 */
function slerp(
  share: number,
  low: Float32Array,
  high: Float32Array,
  [channels, height, width]: LatentShape,
): Float32Array<ArrayBuffer> {
  const columns = channels * width;
  const cosines = new Float64Array(columns);
  const at = (column: number, row: number) => (Math.floor(column / width) * height + row) * width + column % width;
  for (let column = 0; column < columns; column++) {
    let lowSquares = 0, highSquares = 0, product = 0;
    for (let row = 0; row < height; row++) {
      const [a, b] = [low[at(column, row)], high[at(column, row)]];
      lowSquares += a * a;
      highSquares += b * b;
      product += a * b;
    }
    cosines[column] = Math.min(1, Math.max(-1, product / Math.sqrt(lowSquares * highSquares)));
  }
  const result = new Float32Array(low.length);
  if (cosines.reduce((sum, cosine) => sum + cosine, 0) / columns > 0.9995) {
    return result.map((_, i) => low[i] * share + high[i] * (1 - share));
  }
  for (let column = 0; column < columns; column++) {
    const angle = Math.acos(cosines[column]), sine = Math.sin(angle);
    // Of one row, columns point the same way or the opposite: the line is all there is.
    const [fromLow, fromHigh] = sine < 1e-6
      ? [1 - share, share]
      : [Math.sin((1 - share) * angle) / sine, Math.sin(share * angle) / sine];
    for (let row = 0; row < height; row++) {
      const i = at(column, row);
      result[i] = fromLow * low[i] + fromHigh * high[i];
    }
  }
  return result;
}

/** `noise` [channels, height, width] in the middle of `onto`, or its middle where it is the larger one. */
function paste(
  noise: Float32Array,
  [channels, height, width]: LatentShape,
  onto: Float32Array<ArrayBuffer>,
  [, rows, columns]: LatentShape,
): Float32Array<ArrayBuffer> {
  const [top, left] = [Math.floor((rows - height) / 2), Math.floor((columns - width) / 2)];
  const [high, wide] = [height + 2 * Math.min(top, 0), width + 2 * Math.min(left, 0)];
  for (let channel = 0; channel < channels; channel++) {
    for (let row = 0; row < high; row++) {
      const from = (channel * height + row + Math.max(-top, 0)) * width + Math.max(-left, 0);
      onto.set(
        noise.subarray(from, from + wide),
        (channel * rows + row + Math.max(top, 0)) * columns + Math.max(left, 0),
      );
    }
  }
  return onto;
}
