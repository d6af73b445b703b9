import assert from "node:assert/strict";
import fc from "fast-check";
import { brownianNoise, BrownianTree } from "../../src/tensor/brownian.ts";
import { seedState } from "../../src/tensor/seed_sequence.ts";

interface Vectors {
  sequences: { entropy: string; key: number[]; pool: number; state: number[] }[];
  increments: { seed: number; shape: number[]; from: number; to: number; increment: number[]; noise: number[] }[];
}

const { sequences, increments }: Vectors = JSON.parse(
  Deno.readTextFileSync(new URL("../oracle/rng/brownian.json", import.meta.url)),
);
const range = [Math.min(...increments.map(({ to }) => to)), Math.max(...increments.map(({ from }) => from))] as const;
const farthest = (found: Float32Array | Float64Array, expected: ArrayLike<number>) => {
  assert.equal(found.length, expected.length);
  return Math.max(...found.map((value, i) => Math.abs(value - expected[i])));
};

Deno.test("seedState() gives the words of numpy's SeedSequence", () => {
  for (const { entropy, key, pool, state } of sequences) {
    assert.deepEqual([...seedState({ entropy: BigInt(entropy), key, pool, count: state.length })], state);
  }
});

for (const seed of new Set(increments.map(({ seed }) => seed))) {
  Deno.test(`BrownianTree follows torchsde's path from seed ${seed}, and so does the noise k-diffusion makes of it`, () => {
    for (const { shape, from, to, increment, noise } of increments.filter((each) => each.seed === seed)) {
      const options = { seed, rng: "cpu", shape, range } as const;
      assert.ok(farthest(new BrownianTree(options).increment(from, to), increment) < 2e-6, `${from} to ${to}`);
      assert.ok(farthest(brownianNoise(options)([from, to]), noise) < 4e-6, `noise of ${from} to ${to}`);
    }
  });
}

const time = fc.double({ min: range[0], max: range[1], noNaN: true });

Deno.test("increments of a Brownian path add up to 1e-12, in whatever order they are asked for", () => {
  for (const rng of ["cpu", "nv"] as const) {
    const tree = new BrownianTree({ seed: 5, rng, shape: [2, 3], range });
    fc.assert(fc.property(fc.array(time, { minLength: 3, maxLength: 6 }), (times) => {
      const whole = tree.increment(times[0], times.at(-1)!);
      const sum = new Float64Array(6);
      for (let i = 1; i < times.length; i++) {
        for (const [j, value] of tree.increment(times[i - 1], times[i]).entries()) sum[j] += value;
      }
      assert.ok(farthest(whole, sum) < 1e-12, `${times}`);
    }));
  }
});

Deno.test("a Brownian path does not depend on what was asked before, nor on how much is remembered", () => {
  const options = { seed: 9, rng: "nv", shape: [8], range } as const;
  const asked = new BrownianTree(options);
  fc.assert(fc.property(time, time, (from, to) => {
    assert.deepEqual(asked.increment(from, to), new BrownianTree(options).increment(from, to));
  }));
});

Deno.test("Brownian noise over disjoint intervals is standard normal and independent", () => {
  const draw = brownianNoise({ seed: 3, rng: "nv", shape: [20_000], range });
  const [a, b] = [draw([14, 3]), draw([3, 0.5])];
  const mean = (values: ArrayLike<number>) => Array.from(values).reduce((sum, value) => sum + value, 0) / values.length;
  for (const noise of [a, b]) {
    assert.ok(Math.abs(mean(noise)) < 0.03);
    assert.ok(Math.abs(mean(noise.map((value) => value * value)) - 1) < 0.04);
  }
  assert.ok(Math.abs(mean(a.map((value, i) => value * b[i]))) < 0.03);
});

Deno.test("times are rounded as Python does: ties to even, others by their exact value", () => {
  const tree = (most: number) => new BrownianTree({ seed: 1, rng: "cpu", shape: [16], range: [0, most] });
  // 0.0078125 is a tie and becomes 0.007812; 0.0234375 becomes 0.023438.
  assert.deepEqual(tree(1).increment(0, 0.0078125), tree(1).increment(0, 0.007812));
  assert.deepEqual(tree(1).increment(0, 0.0234375), tree(1).increment(0, 0.023438));
});
