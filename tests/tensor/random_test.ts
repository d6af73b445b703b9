import assert from "node:assert/strict";
import { philox } from "../../src/tensor/philox.ts";
import { gaussian } from "../../src/tensor/random.ts";

interface TorchCase {
  seed: string;
  shape: number[];
  /** The first and the last six elements of each draw; all of it, twice, where it is shorter. */
  first: number[];
  second: number[];
  sum: number;
  sumsq: number;
}

const torch: { cases: TorchCase[] } = JSON.parse(
  Deno.readTextFileSync(new URL("../oracle/rng/torch_cpu_randn.json", import.meta.url)),
);

/** Below 16 elements equal to the bit; above, torch's own vector logarithm, sine and cosine differ by up to 2.4e-7. */
const TOLERANCE = 5e-7;

function headAndTail(values: Float32Array): number[] {
  return [...values.slice(0, 6), ...values.slice(-6)];
}

function sum(values: Iterable<number>): number {
  return Array.from(values).reduce((total, value) => total + value, 0);
}

for (const { seed, shape, first, second, ...sums } of torch.cases) {
  Deno.test(`gaussian() of rng cpu gives torch's two draws of [${shape}] from seed ${seed}`, () => {
    const draw = gaussian({ seed: BigInt(seed), rng: "cpu", shape });
    const values = draw();
    for (const [found, expected] of [[values, first], [draw(), second]] as const) {
      headAndTail(found).forEach((value, i) => {
        const tolerance = values.length < 16 ? 0 : TOLERANCE;
        assert.ok(Math.abs(value - expected[i]) <= tolerance, `${value}, not ${expected[i]}, at ${i}`);
      });
    }
    assert.ok(Math.abs(sum(values) - sums.sum) <= 1e-4, `sum ${sum(values)}, not ${sums.sum}`);
    const squares = sum(values.map((value) => value * value));
    assert.ok(Math.abs(squares / sums.sumsq - 1) <= 1e-6, `sum of squares ${squares}, not ${sums.sumsq}`);
  });
}

const KNOWN = [
  [
    [0, 0, 0, 0],
    [0, 0],
    [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8],
  ],
  [
    [0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff],
    [0xffffffff, 0xffffffff],
    [0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd],
  ],
  [
    [0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344],
    [0xa4093822, 0x299f31d0],
    [0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1],
  ],
] as const;

for (const [counter, key, answer] of KNOWN) {
  Deno.test(`philox() gives the known answer of Random123 for key ${key.map((word) => word.toString(16))}`, () => {
    const words = Uint32Array.from(counter);
    philox(words, key);
    assert.deepEqual(Array.from(words), answer);
  });
}

Deno.test("gaussian() of rng nv gives the numbers that A1111's rng_philox.py documents for seed 0", () => {
  const expected = [
    [-0.92466259, -0.42534415, -2.6438457, 0.14518388],
    [-0.12086647, -0.57972564, -0.62285122, -0.32838709],
    [-1.07454231, -0.36314407, -1.67105067, 2.26550497],
  ].flat();
  const found = gaussian({ seed: 0, rng: "nv", shape: [3, 4] })();
  found.forEach((value, i) =>
    assert.ok(Math.abs(value - expected[i]) <= 5e-7, `${value}, not ${expected[i]}, at ${i}`)
  );
});

Deno.test("gaussian() of rng nv gives the numbers of torch's CUDA generator, where there is one to ask", async () => {
  const cases: [seed: string, shape: number[]][] = [
    ["0", [3, 4]],
    ["1234567890", [4, 64, 64]],
    [`${2n ** 32n - 1n}`, [4, 96, 128]],
    [`${2n ** 40n + 7n}`, [1, 4, 16, 16]],
  ];
  const script = new URL("cuda_randn.py", import.meta.url).pathname;
  const output = await new Deno.Command("python3", { args: [script, JSON.stringify(cases)] }).output().catch(() =>
    null
  );
  if (!output?.success) {
    return console.log("no python3 with torch and a CUDA GPU here: not compared with its generator");
  }
  const draws: [number[], number[]][] = JSON.parse(new TextDecoder().decode(output.stdout));
  for (const [at, [seed, shape]] of cases.entries()) {
    const draw = gaussian({ seed: BigInt(seed), rng: "nv", shape });
    for (const expected of draws[at]) {
      const found = draw();
      assert.equal(found.length, expected.length);
      // CUDA's sines, cosines and logarithms are fast ones.
      const worst = found.reduce((worst, value, i) => Math.max(worst, Math.abs(value - expected[i])), 0);
      assert.ok(worst <= 1e-5, `seed ${seed}, shape ${shape}: off by ${worst}`);
    }
  }
});

Deno.test("gaussian() of rng nv uses all 64 bits of a seed, rng cpu the low 32", () => {
  const first = (rng: "nv" | "cpu", seed: bigint) => gaussian({ seed, rng, shape: [4] })()[0];
  assert.notEqual(first("nv", 7n), first("nv", 7n + 2n ** 32n));
  assert.equal(first("cpu", 7n), first("cpu", 7n + 2n ** 32n));
});

for (const rng of ["nv", "cpu"] as const) {
  Deno.test(`gaussian() of rng ${rng} gives one seed the same draws, each another, and standard normals`, () => {
    const [a, b] = [0, 1].map(() => gaussian({ seed: 2026, rng, shape: [4, 64, 64] }));
    const draws = [a(), a()];
    assert.deepEqual(draws, [b(), b()]);
    assert.notDeepEqual(draws[0], draws[1]);
    assert.notDeepEqual(gaussian({ seed: 2027, rng, shape: [4, 64, 64] })(), draws[0]);
    for (const values of draws) {
      assert.ok(Math.abs(sum(values) / values.length) < 0.03);
      assert.ok(Math.abs(sum(values.map((value) => value ** 2)) / values.length - 1) < 0.05);
    }
  });
}

Deno.test("gaussian() refuses a seed that is no whole number from 0 to 2^64 - 1", () => {
  for (const seed of [-1, 0.5, NaN, 2 ** 60, -1n, 2n ** 64n]) {
    assert.throws(() => gaussian({ seed, rng: "nv", shape: [4] }), RangeError, `${seed}`);
  }
});
