/** numpy's SeedSequence (O'Neill's seed_seq_fe): one number and a place in a tree of generators to as many seeds as wanted. */

const SHIFT = 16;

/** Multiplies a running constant into each value that passes. */
class Hash {
  constructor(private constant: number, readonly multiplier: number) {}

  next(value: number): number {
    const mixed = value ^ this.constant;
    this.constant = Math.imul(this.constant, this.multiplier);
    const product = Math.imul(mixed, this.constant);
    return (product ^ (product >>> SHIFT)) >>> 0;
  }
}

function mix(x: number, y: number): number {
  const result = Math.imul(0xca01f9dd, x) - Math.imul(0x4973f715, y) | 0;
  return (result ^ (result >>> SHIFT)) >>> 0;
}

/**
 * The first `count` words of numpy.random.SeedSequence(entropy, spawn_key=key, pool_size=pool).generate_state(count), each
 * of 32 bits. `entropy` and the parts of `key` are whole numbers from 0.
 */
export function seedState(
  { entropy, key = [], pool = 4, count }: {
    entropy: bigint;
    key?: readonly (number | bigint)[];
    pool?: number;
    count: number;
  },
): Uint32Array<ArrayBuffer> {
  const words = wordsOf(entropy);
  if (key.length > 0) { while (words.length < pool) words.push(0); }
  for (const part of key) words.push(...wordsOf(BigInt(part)));

  const hash = new Hash(0x43b0d7e5, 0x931e8875);
  const mixer = new Uint32Array(pool);
  for (let i = 0; i < pool; i++) mixer[i] = hash.next(words[i] ?? 0);
  for (let from = 0; from < pool; from++) {
    for (let to = 0; to < pool; to++) if (from !== to) mixer[to] = mix(mixer[to], hash.next(mixer[from]));
  }
  for (const word of words.slice(pool)) for (let to = 0; to < pool; to++) mixer[to] = mix(mixer[to], hash.next(word));

  const out = new Hash(0x8b51f9dd, 0x58f38ded);
  return Uint32Array.from({ length: count }, (_, i) => out.next(mixer[i % pool]));
}

/** A whole number's 32-bit words, the lowest first; one for 0. */
function wordsOf(value: bigint): number[] {
  const words: number[] = [];
  do {
    words.push(Number(BigInt.asUintN(32, value)));
    value >>= 32n;
  } while (value > 0n);
  return words;
}
