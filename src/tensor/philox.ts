/** Noise as torch makes it on CUDA: Philox 4×32-10 (Salmon et al., 2011) and Box–Muller, one number per counter. */

const ROUNDS = 10;
const MULTIPLIERS = [0xd2511f53, 0xcd9e8d57] as const;
const KEY_STEPS = [0x9e3779b9, 0xbb67ae85] as const;

/** Turns a counter of four words into four random words, in place; the key has two. All are unsigned 32 bits. */
export function philox(words: Uint32Array, key: readonly [number, number]): void {
  let [c0, c1, c2, c3] = words;
  let [k0, k1] = key;
  for (let round = 0; round < ROUNDS; round++) {
    const high0 = multiplyHigh(MULTIPLIERS[0], c0);
    const high2 = multiplyHigh(MULTIPLIERS[1], c2);
    const low0 = Math.imul(MULTIPLIERS[0], c0);
    const low2 = Math.imul(MULTIPLIERS[1], c2);
    c0 = high2 ^ c1 ^ k0;
    c1 = low2;
    c2 = high0 ^ c3 ^ k1;
    c3 = low0;
    k0 = (k0 + KEY_STEPS[0]) | 0;
    k1 = (k1 + KEY_STEPS[1]) | 0;
  }
  words[0] = c0;
  words[1] = c1;
  words[2] = c2;
  words[3] = c3;
}

/** The high 32 bits of the product of two unsigned 32-bit numbers, in halves of 16 bits, none of whose sums overflows. */
function multiplyHigh(a: number, b: number): number {
  const aHigh = a >>> 16, aLow = a & 0xffff;
  const bHigh = b >>> 16, bLow = b & 0xffff;
  const low = Math.imul(aLow, bLow) >>> 16;
  const first = Math.imul(aHigh, bLow) + low | 0;
  const second = Math.imul(aLow, bHigh) + (first & 0xffff) | 0;
  return Math.imul(aHigh, bHigh) + (first >>> 16) + (second >>> 16) | 0;
}

/** 2⁻³², and 2π · 2⁻³² in single precision, as CUDA scales its uniforms. */
const UNIFORM = 2 ** -32;
const ANGLE = Math.fround(2.3283064e-10 * 6.2831855);

/**
 * torch.Generator("cuda").manual_seed(seed), as A1111's rng_philox.py has it: the seed is the key, element i of a draw
 * is stream i, and every draw advances the offset by one. Of Box–Muller's two normals the second is dropped.
 */
export class TorchCudaGenerator {
  readonly #key: [number, number];
  #offset = 0;

  constructor(seed: bigint) {
    this.#key = [Number(BigInt.asUintN(32, seed)), Number(BigInt.asUintN(32, seed >> 32n))];
  }

  /** torch.randn: the next `count` standard normals. */
  randn(count: number): Float32Array<ArrayBuffer> {
    const values = new Float32Array(count);
    const words = new Uint32Array(4);
    for (let i = 0; i < count; i++) {
      words[0] = this.#offset;
      words[1] = 0;
      words[2] = i;
      words[3] = 0;
      philox(words, this.#key);
      const radius = Math.sqrt(-2 * Math.log(words[0] * UNIFORM + UNIFORM / 2));
      values[i] = radius * Math.sin(words[1] * ANGLE + ANGLE / 2);
    }
    this.#offset++;
    return values;
  }
}
