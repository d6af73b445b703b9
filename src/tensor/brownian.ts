/**
 * Noise that belongs to an interval of noise levels rather than to a step, so that another number of steps follows the same
 * path: a Brownian path from a seed, by bisection, as torchsde's BrownianTree makes it (Li et al., 2020).
 */
import { generatorOf, type Rng } from "./random.ts";
import { seedState } from "./seed_sequence.ts";
import { elements, type Shape } from "./shape.ts";

/** Times are whole multiples of 1e-6. */
const DIGITS = 6;
/** Size of torchsde's pool for a BrownianTree, which its seeds depend on. */
const POOL = 24;
/** Halved intervals that are remembered; the way down to an interval has some 24. */
const KEPT = 32;

/** One double an element. */
type Increment = Float64Array<ArrayBuffer>;

/** An interval of the path: the root, or the half of one that has been halved. */
interface Interval {
  start: number;
  end: number;
  parent?: Interval;
  isLeft: boolean;
  /** Place among the intervals of its depth, and the depth: what its seed is made from. */
  key: bigint;
  depth: number;
}

/** A Brownian path W over `range` for one image: the same for the same seed, however and in which order it is asked. */
export class BrownianTree {
  readonly #entropy: bigint;
  readonly #rng: Rng;
  readonly #count: number;
  readonly #root: Interval;
  /** Increments of both halves by the interval halved, the last used ones last. */
  readonly #known = new Map<string, readonly [left: Increment, right: Increment]>();
  readonly #total: Increment;

  /** `range` as single floats: the least and the greatest time asked for; others are taken for these. */
  constructor(
    { seed, rng, shape, range: [least, most] }: {
      seed: number | bigint;
      rng: Rng;
      shape: Shape;
      range: readonly [least: number, most: number];
    },
  ) {
    this.#entropy = BigInt(seed);
    this.#rng = rng;
    this.#count = elements(shape);
    const [start, end] = [least, most].map((time) => roundTime(Math.fround(time)));
    this.#root = { start, end, isLeft: false, key: 0n, depth: 0 };
    const [state] = seedState({ entropy: this.#entropy, pool: POOL, count: 1 });
    const deviation = Math.sqrt(end - start);
    this.#total = this.#randn(state).map((value) => value * deviation);
  }

  /** W(to) − W(from), row-major; with `from` above `to` time falls. In double, so that increments add up. */
  increment(from: number, to: number): Increment {
    const [start, end] = [Math.min(from, to), Math.max(from, to)].map((time) => {
      return roundTime(Math.min(Math.max(Math.fround(time), this.#root.start), this.#root.end));
    });
    const sum = new Float64Array(this.#count);
    if (start < end) {
      for (const interval of parts(this.#root, start, end)) {
        const increment = this.#increment(interval);
        for (let i = 0; i < sum.length; i++) sum[i] += increment[i];
      }
    }
    return from > to ? sum.map((value) => -value) : sum;
  }

  #increment({ parent, isLeft, ...interval }: Interval): Increment {
    if (!parent) return this.#total;
    const [left, right] = this.#halves(parent, isLeft ? interval.end : interval.start);
    return isLeft ? left : right;
  }

  /** The increments of an interval's halves: the left has its share of the whole and noise, the right has the rest. */
  #halves(interval: Interval, middle: number): readonly [left: Increment, right: Increment] {
    const { start, end, key, depth } = interval, name = `${depth} ${key}`;
    let halves = this.#known.get(name);
    if (halves) this.#known.delete(name);
    else {
      const whole = this.#increment(interval);
      const share = (middle - start) / (end - start), deviation = Math.sqrt(share * (end - middle));
      const [state] = seedState({ entropy: this.#entropy, key: [key, depth], pool: POOL, count: 1 });
      const left = this.#randn(state), right = new Float64Array(left.length);
      for (let i = 0; i < left.length; i++) {
        left[i] = share * whole[i] + deviation * left[i];
        right[i] = whole[i] - left[i];
      }
      halves = [left, right];
    }
    this.#known.set(name, halves);
    if (this.#known.size > KEPT) this.#known.delete(this.#known.keys().next().value!);
    return halves;
  }

  #randn(state: number): Increment {
    return new Float64Array(generatorOf(this.#rng, BigInt(state)).randn(this.#count));
  }
}

/** The intervals of the tree that make up [start, end], from the left; both are whole multiples of the resolution. */
function* parts(interval: Interval, start: number, end: number): Generator<Interval> {
  if (start === interval.start && end === interval.end) return yield interval;
  const middle = roundTime(0.5 * (interval.end + interval.start));
  const half = (isLeft: boolean): Interval => ({
    start: isLeft ? interval.start : middle,
    end: isLeft ? middle : interval.end,
    parent: interval,
    isLeft,
    key: 2n * interval.key + (isLeft ? 0n : 1n),
    depth: interval.depth + 1,
  });
  if (start < middle) yield* parts(half(true), start, Math.min(end, middle));
  if (end > middle) yield* parts(half(false), Math.max(start, middle), end);
}

/** A time to six digits as Python rounds it: by its exact value, ties to even. */
function roundTime(time: number): number {
  const scaled = time * 10 ** DIGITS, below = Math.floor(scaled);
  // Only multiples of 2⁻⁷ lie between two multiples of 10⁻⁶, and those times 10⁶ are exact.
  if (Number.isInteger(time * 2 ** (DIGITS + 1)) && scaled - below === 0.5) {
    return (below + below % 2) / 10 ** DIGITS;
  }
  return Number(time.toFixed(DIGITS));
}

/**
 * What samplers of stochastic differential equations draw, as k-diffusion's BrownianTreeNoiseSampler: for the sigmas [from,
 * to] the increment over them divided by the square root of their distance, standard normals. Both are taken as singles.
 */
export function brownianNoise(
  options: ConstructorParameters<typeof BrownianTree>[0],
): (interval: readonly [from: number, to: number]) => Float32Array<ArrayBuffer> {
  const tree = new BrownianTree(options);
  return ([from, to]) => {
    const distance = Math.fround(Math.sqrt(Math.abs(Math.fround(Math.fround(to) - Math.fround(from)))));
    return Float32Array.from(tree.increment(from, to), (value) => value / distance);
  };
}
