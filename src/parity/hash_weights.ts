/**
 * Weights and noise from a hash of (key, flat index): the same numbers in every language, so that a model of any size needs
 * no stored file. A key is the tensor's name behind a namespace, as `tiny-sd15/unet/conv_in.weight`.
 */
import { elements, type Shape } from "../tensor/shape.ts";

const GOLDEN = 0x9e3779b1;
const TWO_32 = 4294967296;

/** The FNV-1a hash of a text's UTF-8 bytes, as a 32-bit unsigned number. */
export function fnv1a32(text: string): number {
  let hash = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(text)) hash = Math.imul(hash ^ byte, 0x01000193);
  return hash >>> 0;
}

/** H(key, i) for i from `begin` on, `count` values: 32 uniform bits each. Indexes count modulo 2³². */
export function hash(key: string, begin: number, count: number): Uint32Array<ArrayBuffer> {
  const seed = fnv1a32(key);
  const values = new Uint32Array(count);
  for (let i = 0; i < count; i++) {
    let h = Math.imul(begin + i, GOLDEN) ^ seed;
    h ^= h >>> 16;
    h = Math.imul(h, 0x85ebca6b);
    h ^= h >>> 13;
    h = Math.imul(h, 0xc2b2ae35);
    values[i] = h ^ (h >>> 16);
  }
  return values;
}

/**
 * The weights of the tensor `key`, row-major. Matrices and convolutions have a standard deviation of 1/√fan-in, embedding
 * tables of 0.5; biases lie within ±0.05, norm scales within 1 ± 0.05. `gain` multiplies the deviation; `begin` and `count`
 * ask for a part.
 * Each is (u · scale · gain + offset) in float64, u = H / 2³² − 0.5, rounded to float32 and then to float16.
 */
export function weights(
  key: string,
  shape: Shape,
  { gain = 1, begin = 0, count = elements(shape) - begin }: { gain?: number; begin?: number; count?: number } = {},
): Float16Array<ArrayBuffer> {
  const [scale, offset] = rule(key, shape);
  const deviation = scale * gain;
  const hashes = hash(key, begin, count);
  const singles = new Float32Array(hashes.length); // between float64 and float16: rounding twice is part of the rule
  for (let i = 0; i < hashes.length; i++) singles[i] = (hashes[i] / TWO_32 - 0.5) * deviation + offset;
  return new Float16Array(singles);
}

function rule(key: string, shape: Shape): [scale: number, offset: number] {
  if (shape.length < 2) return key.endsWith("bias") ? [0.1, 0] : [0.1, 1];
  if (key.endsWith("embedding.weight")) return [Math.sqrt(12) * 0.5, 0];
  return [Math.sqrt(12) / Math.sqrt(elements(shape.slice(1))), 0];
}

/** `count` numbers, uniform in [0, 1), of 24 bits each. */
export function uniform(key: string, count: number): Float32Array<ArrayBuffer> {
  const values = new Float32Array(count);
  const hashes = hash(key, 0, count);
  for (let i = 0; i < count; i++) values[i] = (hashes[i] >>> 8) / 2 ** 24;
  return values;
}

/** `count` standard normals by Box and Muller, from the streams `key#a` and `key#b`, in float64 rounded to float32. */
export function normal(key: string, count: number): Float32Array<ArrayBuffer> {
  const a = hash(key + "#a", 0, count);
  const b = hash(key + "#b", 0, count);
  const values = new Float32Array(count);
  for (let i = 0; i < count; i++) {
    const radius = Math.sqrt(-2 * Math.log((a[i] + 0.5) / TWO_32));
    values[i] = radius * Math.cos(2 * Math.PI * (b[i] / TWO_32));
  }
  return values;
}
