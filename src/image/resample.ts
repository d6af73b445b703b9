/**
 * Rasters of 8-bit samples in another size, by a window that is widened when shrinking so that nothing aliases: one pass
 * along each side, rounded to 8 bits in between. The arithmetic is Pillow's (`Image.resize`), to the last bit.
 */

/** 8-bit samples: `data` is [height, width, channels]. */
export interface Raster {
  width: number;
  height: number;
  channels: number;
  data: Uint8Array<ArrayBuffer>;
}

/** A window over samples: what a sample at distance x of the wanted place weighs, 0 from `support` on. */
interface Window {
  support: number;
  weight(x: number): number;
}

const windows = {
  /** sinc(x) · sinc(x / 3). */
  lanczos: { support: 3, weight: (x) => x >= -3 && x < 3 ? sinc(x) * sinc(x / 3) : 0 },
  /** Keys' cubic convolution with a = −1/2. */
  bicubic: {
    support: 2,
    weight(x) {
      const d = Math.abs(x);
      if (d < 1) return (1.5 * d - 2.5) * d * d + 1;
      return d < 2 ? ((-0.5 * d + 2.5) * d - 4) * d + 2 : 0;
    },
  },
} satisfies Record<string, Window>;

/** How samples between samples are found. */
export type ResampleMethod = keyof typeof windows | "nearest";

/** Weights are whole numbers of 2⁻²², so that sums over 8-bit samples fit 32 bits. */
const weightBits = 22;

/** The raster stretched to `width` × `height`, whatever its proportions. */
export function resample(
  raster: Raster,
  { width, height, method = "lanczos" }: { width: number; height: number; method?: ResampleMethod },
): Raster {
  if (method === "nearest") return nearest(raster, width, height);
  const window = windows[method], shrinksBy = { columns: raster.width - width, rows: raster.height - height };
  // The order is Pillow's too: columns first, unless more than twice as many rows go as columns.
  return shrinksBy.rows > Math.max(0, 2 * shrinksBy.columns)
    ? resizeColumns(resizeRows(raster, height, window), width, window)
    : resizeRows(resizeColumns(raster, width, window), height, window);
}

function nearest({ width: fromWidth, height: fromHeight, channels, data }: Raster, width: number, height: number) {
  const out = new Uint8Array(width * height * channels);
  for (let y = 0, to = 0; y < height; y++) {
    const row = Math.floor((y + 0.5) * fromHeight / height) * fromWidth;
    for (let x = 0; x < width; x++) {
      const from = (row + Math.floor((x + 0.5) * fromWidth / width)) * channels;
      for (let channel = 0; channel < channels; channel++) out[to++] = data[from + channel];
    }
  }
  return { width, height, channels, data: out };
}

function resizeColumns(raster: Raster, width: number, window: Window): Raster {
  const { width: from, height, channels, data } = raster;
  if (width === from) return raster;
  const weighed = weightsOf(from, width, window), out = new Uint8Array(width * height * channels);
  for (let y = 0, to = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const { first, weights } = weighed[x], begin = (y * from + first) * channels;
      for (let channel = 0; channel < channels; channel++) out[to++] = sum(data, begin + channel, channels, weights);
    }
  }
  return { width, height, channels, data: out };
}

function resizeRows(raster: Raster, height: number, window: Window): Raster {
  const { width, height: from, channels, data } = raster;
  if (height === from) return raster;
  const stride = width * channels, weighed = weightsOf(from, height, window), out = new Uint8Array(height * stride);
  for (let y = 0, to = 0; y < height; y++) {
    const { first, weights } = weighed[y];
    for (let x = 0; x < stride; x++) out[to++] = sum(data, first * stride + x, stride, weights);
  }
  return { width, height, channels, data: out };
}

/** The weighted sum of the samples at `from`, `from + stride`, …, rounded and clipped to 0…255. */
function sum(data: Uint8Array, from: number, stride: number, weights: Int32Array): number {
  let total = 1 << (weightBits - 1);
  for (let i = 0; i < weights.length; i++, from += stride) total += data[from] * weights[i];
  const level = total >> weightBits;
  return level < 0 ? 0 : level > 255 ? 255 : level;
}

/** For each of `to` places: the first of the `from` samples that count there, and their weights. */
function weightsOf(from: number, to: number, window: Window): { first: number; weights: Int32Array }[] {
  const scale = from / to, widening = Math.max(scale, 1), support = window.support * widening;
  return Array.from({ length: to }, (_, i) => {
    const center = (i + 0.5) * scale;
    const first = Math.max(0, Math.trunc(center - support + 0.5));
    const end = Math.min(from, Math.trunc(center + support + 0.5));
    const weights = Array.from({ length: end - first }, (_, k) => window.weight((first + k - center + 0.5) / widening));
    const total = weights.reduce((a, b) => a + b, 0);
    return { first, weights: Int32Array.from(weights, (weight) => roundHalfAway(weight / total * (1 << weightBits))) };
  });
}

function sinc(x: number): number {
  return x === 0 ? 1 : Math.sin(x * Math.PI) / (x * Math.PI);
}

function roundHalfAway(x: number): number {
  return Math.trunc(x < 0 ? x - 0.5 : x + 0.5);
}
