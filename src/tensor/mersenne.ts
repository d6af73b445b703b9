/** Noise as torch's CPU generator makes it: MT19937 (Matsumoto and Nishimura, 1998) and Box–Muller, twice. */

const WORDS = 624;
const SHIFT = 397;
/** From this many elements on, torch fills in blocks. */
const BLOCK = 16;

/** The Mersenne twister: 32 random bits at a time. */
class MersenneTwister {
  readonly #state = new Uint32Array(WORDS);
  #next = WORDS;

  constructor(seed: number) {
    this.#state[0] = seed;
    for (let i = 1; i < WORDS; i++) {
      const last = this.#state[i - 1];
      this.#state[i] = Math.imul(1812433253, last ^ (last >>> 30)) + i;
    }
  }

  /** 0 to 2³² − 1. */
  next(): number {
    if (this.#next === WORDS) this.#refill();
    let word = this.#state[this.#next++];
    word ^= word >>> 11;
    word ^= (word << 7) & 0x9d2c5680;
    word ^= (word << 15) & 0xefc60000;
    return (word ^ (word >>> 18)) >>> 0;
  }

  #refill(): void {
    const state = this.#state;
    for (let i = 0; i < WORDS; i++) {
      const mixed = (state[i] & 0x80000000) | (state[(i + 1) % WORDS] & 0x7fffffff);
      state[i] = state[(i + SHIFT) % WORDS] ^ (mixed >>> 1) ^ (mixed & 1 ? 0x9908b0df : 0);
    }
    this.#next = 0;
  }
}

/**
 * torch.Generator("cpu").manual_seed(seed): of the seed only the low 32 bits count. Values equal torch's up to the last
 * bits of a single: torch's own logarithm and sine differ by as much from one processor to another.
 */
export class TorchCpuGenerator {
  readonly #twister: MersenneTwister;
  /** The second normal of the last pair, where it has not been used. */
  #spare: number | undefined;

  constructor(seed: bigint) {
    this.#twister = new MersenneTwister(Number(BigInt.asUintN(32, seed)));
  }

  /** torch.randn: the next `count` standard normals. The way they are made changes at 16. */
  randn(count: number): Float32Array<ArrayBuffer> {
    return count < BLOCK ? Float32Array.from({ length: count }, () => this.#normal()) : this.#normals(count);
  }

  /** One normal out of two doubles of 53 bits; the pair's other one is kept for the next call. */
  #normal(): number {
    if (this.#spare !== undefined) {
      const spare = this.#spare;
      this.#spare = undefined;
      return spare;
    }
    const angle = 2 * Math.PI * this.#double();
    const radius = Math.sqrt(-2 * Math.log1p(-this.#double()));
    this.#spare = radius * Math.sin(angle);
    return radius * Math.cos(angle);
  }

  #double(): number {
    const high = this.#twister.next() & 0x1fffff;
    return (high * 2 ** 32 + this.#twister.next()) / 2 ** 53;
  }

  /** All uniforms first, of 24 bits, then Box–Muller over blocks of 16; a last block that overlaps starts afresh. */
  #normals(count: number): Float32Array<ArrayBuffer> {
    const values = new Float32Array(count);
    this.#uniforms(values);
    for (let begin = 0; begin + BLOCK <= count; begin += BLOCK) boxMuller(values.subarray(begin, begin + BLOCK));
    if (count % BLOCK > 0) {
      const tail = values.subarray(count - BLOCK);
      this.#uniforms(tail);
      boxMuller(tail);
    }
    return values;
  }

  #uniforms(values: Float32Array): void {
    for (let i = 0; i < values.length; i++) values[i] = (this.#twister.next() & 0xffffff) / 2 ** 24;
  }
}

/** Sixteen uniforms in [0, 1) to normals in place, in single precision: element j and j + 8 are a pair. */
function boxMuller(block: Float32Array): void {
  const half = BLOCK / 2;
  for (let j = 0; j < half; j++) {
    const radius = Math.fround(Math.sqrt(-2 * Math.fround(Math.log(1 - block[j]))));
    const angle = Math.fround(Math.fround(2 * Math.PI) * block[j + half]);
    block[j] = radius * Math.fround(Math.cos(angle));
    block[j + half] = radius * Math.fround(Math.sin(angle));
  }
}
