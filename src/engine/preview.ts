/** Small pictures of latents: a matrix from their channels to colours, published or fitted. */
import type { VAEConfig } from "../models/vae/config.ts";

/**
 * The matrix of the VAE of Stable Diffusion 1 and 2 (its config's sizes and scaling factor tell): red, green and blue of
 * each latent channel, as published with that VAE's first previews, and no bias.
 */
const published = [
  [0.3512, 0.2297, 0.3227],
  [0.325, 0.4974, 0.235],
  [-0.2829, 0.1762, 0.2721],
  [-0.212, -0.2616, -0.7177],
];

/** Side, in latent pixels, of the random latents that a matrix is fitted to: 64 of them. */
export const fittedSide = 8;

/** The known matrix [channels + 1, 4] of a VAE, or undefined where it is to be fitted. */
export function knownMatrix(config: VAEConfig): Float32Array | undefined {
  const { latent_channels, scaling_factor, block_out_channels } = config;
  if (latent_channels !== 4 || scaling_factor !== 0.18215 || `${block_out_channels}` !== "128,256,512,512") return;
  return layOut([...published, [0, 0, 0]]);
}

/**
 * The matrix [channels + 1, 4] that explains pictures by latents best, by least squares: `latents` [pixels, channels],
 * `image` [side · scale, side · scale, 3] the picture they were decoded to, averaged over what each latent pixel becomes.
 */
export function fitMatrix(latents: Float32Array, image: Float32Array, channels: number, scale: number): Float32Array {
  const pixels = latents.length / channels, side = Math.sqrt(pixels), count = channels + 1;
  const normal = Array.from({ length: count }, () => new Float64Array(count + 3));
  for (let pixel = 0; pixel < pixels; pixel++) {
    const features = [...latents.subarray(pixel * channels, (pixel + 1) * channels), 1];
    const colour = averageColour(image, { x: pixel % side, y: Math.floor(pixel / side), side, scale });
    const line = [...features, ...colour];
    for (let i = 0; i < count; i++) for (let j = 0; j < count + 3; j++) normal[i][j] += features[i] * line[j];
  }
  for (let i = 0; i < count; i++) normal[i][i] += 1e-6; // channels that never vary have no colour
  return layOut(solve(normal));
}

function averageColour(
  image: Float32Array,
  { x, y, side, scale }: { x: number; y: number; side: number; scale: number },
): number[] {
  const sum = [0, 0, 0];
  for (let row = y * scale; row < (y + 1) * scale; row++) {
    for (let column = x * scale; column < (x + 1) * scale; column++) {
      for (let channel = 0; channel < 3; channel++) sum[channel] += image[(row * side * scale + column) * 3 + channel];
    }
  }
  return sum.map((total) => total / scale ** 2);
}

/** Gauss-Jordan elimination of [n, n + m] with the largest pivot; the solution's n rows of m. */
function solve(rows: Float64Array[]): number[][] {
  const count = rows.length;
  for (let column = 0; column < count; column++) {
    const pivot = rows.reduce(
      (best, row, i) => i >= column && Math.abs(row[column]) > Math.abs(rows[best][column]) ? i : best,
      column,
    );
    [rows[column], rows[pivot]] = [rows[pivot], rows[column]];
    const own = rows[column], divisor = own[column];
    for (let j = 0; j < own.length; j++) own[j] /= divisor;
    for (const [i, row] of rows.entries()) {
      if (i === column) continue;
      const factor = row[column];
      for (let j = 0; j < row.length; j++) row[j] -= factor * own[j];
    }
  }
  return rows.map((row) => [...row.subarray(count)]);
}

/** Rows of red, green and blue as the kernel reads them. */
function layOut(rows: number[][]): Float32Array {
  return Float32Array.from(rows.flatMap(([red, green, blue]) => [red, green, blue, 0]));
}

/** Packed pixels, red lowest, rows padded to whole vec4s, as RGB [height, width, 3]. */
export function unpackPixels(words: Uint32Array, width: number, height: number): Uint8Array<ArrayBuffer> {
  const stride = Math.ceil(width / 4) * 4, pixels = new Uint8Array(width * height * 3);
  for (let y = 0, to = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const word = words[y * stride + x];
      pixels[to++] = word & 255;
      pixels[to++] = word >> 8 & 255;
      pixels[to++] = word >> 16 & 255;
    }
  }
  return pixels;
}
