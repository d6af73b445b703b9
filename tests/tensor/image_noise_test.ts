import assert from "node:assert/strict";
import { imageNoise, type ImageNoiseOptions } from "../../src/tensor/image_noise.ts";
import { gaussian, type Rng } from "../../src/tensor/random.ts";

interface Case {
  rng: Rng;
  seed: number;
  shape: [number, number, number];
  subseed?: number;
  strength?: number;
  resize?: [number, number];
  delta?: number;
  draws: [number[], number[]];
}

const { cases }: { cases: Case[] } = JSON.parse(
  Deno.readTextFileSync(new URL("../oracle/rng/image_noise.json", import.meta.url)),
);

for (const { rng, seed, shape, draws, subseed, strength, resize, delta } of cases) {
  const ways = JSON.stringify({ subseed, strength, resize, delta });
  Deno.test(`imageNoise() of rng ${rng} draws a start and a step as A1111 does with ${ways}`, () => {
    const noise = imageNoise({
      seed,
      rng,
      shape,
      subseed,
      subseedStrength: strength,
      resizeFrom: resize,
      seedDelta: delta,
    });
    for (const [found, expected] of [[noise.start(), draws[0]], [noise.next(), draws[1]]] as const) {
      assert.equal(found.length, expected.length);
      for (const [i, value] of found.entries()) assert.ok(Math.abs(value - expected[i]) < 1e-6, `at ${i}`);
    }
  });
}

const shape = [4, 8, 8] as const;
const startOf = (options: Partial<ImageNoiseOptions>, drawsBefore = 0) => {
  const noise = imageNoise({ seed: 1, rng: "nv", shape, ...options });
  for (let i = 0; i < drawsBefore; i++) noise.next();
  return noise.start();
};
const distance = (a: Float32Array, b: Float32Array) => Math.hypot(...a.map((value, i) => value - b[i]));

Deno.test("imageNoise() without any way to vary it is the stream of gaussian()", () => {
  const draw = gaussian({ seed: 1, rng: "nv", shape }), noise = imageNoise({ seed: 1, rng: "nv", shape });
  assert.deepEqual([noise.next(), noise.start(), noise.next()], [draw(), draw(), draw()]);
});

Deno.test("subseed strength moves the start smoothly from the seed's own noise to the subseed's, also behind another draw", () => {
  for (const before of [0, 1]) {
    const [own, other] = [startOf({}, before), startOf({ seed: 2 }, before)];
    const path = Array.from({ length: 11 }, (_, i) => startOf({ subseed: 2, subseedStrength: i / 10 }, before));
    assert.deepEqual(path[0], own);
    assert.ok(distance(path[10], other) < 1e-5);
    const moves = path.slice(1).map((noise, i) => distance(noise, path[i]));
    const even = moves.reduce((sum, move) => sum + move, 0) / moves.length;
    for (const move of moves) assert.ok(move > 0.8 * even && move < 1.2 * even, `${moves}`);
  }
});

Deno.test("a seed of the size it is resized from stands in the middle of the larger picture", () => {
  const small = imageNoise({ seed: 1, rng: "nv", shape: [4, 4, 6] }).start(), large = startOf({ resizeFrom: [4, 6] });
  for (let channel = 0; channel < 4; channel++) {
    for (let row = 0; row < 4; row++) {
      for (let column = 0; column < 6; column++) {
        assert.equal(large[(channel * 8 + row + 2) * 8 + column + 1], small[(channel * 4 + row) * 6 + column]);
      }
    }
  }
});

Deno.test("ENSD gives the steps another seed and leaves the start as it is", () => {
  const plain = imageNoise({ seed: 1, rng: "cpu", shape }),
    moved = imageNoise({ seed: 1, rng: "cpu", shape, seedDelta: 31337 });
  assert.deepEqual(moved.start(), plain.start());
  assert.deepEqual(moved.next(), imageNoise({ seed: 31338, rng: "cpu", shape }).start());
});

Deno.test("noise is finite at the smallest size, where a column has one row", () => {
  const noise = imageNoise({ seed: 1, rng: "cpu", shape: [4, 1, 1], subseed: 2, subseedStrength: 0.5 }).start();
  assert.ok(noise.every(Number.isFinite));
});

Deno.test("imageNoise() refuses a seed below 0 or beyond 64 bits", () => {
  assert.throws(() => imageNoise({ seed: -1, rng: "nv", shape }), RangeError);
  assert.throws(() => imageNoise({ seed: 1, rng: "nv", shape, subseed: 2n ** 64n }), RangeError);
});
