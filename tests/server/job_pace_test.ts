import assert from "node:assert/strict";
import { JobPace, type Kind } from "../../src/server/job_pace.ts";

const kind = (size: number, model = "tiny") => ({ model, size });

/** A pace in which tests write and read one rate for both kinds of work. */
class OnePace extends JobPace {
  know(kind: Kind, rate: number, weight = 1): void {
    this.learn({ ...kind, rates: { steps: rate, rest: rate } }, weight);
  }

  now(kind: Kind, rate: number): void {
    this.runs({ ...kind, rates: { steps: rate, rest: rate } });
  }

  rate(kind: Kind): number | undefined {
    const rates = this.of(kind);
    assert.equal(rates?.steps, rates?.rest);
    return rates?.steps;
  }
}

Deno.test("a kind that was measured has its own pace, which the newest share of it moves", () => {
  const pace = new OnePace();
  assert.equal(pace.rate(kind(1)), undefined);
  pace.know(kind(1), 10, 0.5);
  pace.know(kind(4), 3, 0.5);
  assert.deepEqual([pace.rate(kind(1)), pace.rate(kind(4))], [10, 3]);
  pace.know(kind(1), 20, 0.5);
  assert.deepEqual([pace.rate(kind(1)), pace.rate(kind(4))], [15, 3]);
});

Deno.test("by one size, a step four times as large takes twice as long, between as long and four times as long; beyond that it grows as its arithmetic", () => {
  const pace = new OnePace();
  pace.know(kind(16), 10);
  for (const [size, times] of [[64, 2], [4, 0.5], [1, 0.5], [256, 8]]) {
    const step = pace.rate(kind(size))! * size / (10 * 16);
    assert.ok(Math.abs(step - times) < 1e-9, `${step}`);
  }
});

Deno.test("two sizes tell of others: a step takes a while whatever its size, and a while for each part of it", () => {
  const step = (size: number) => 30 + 2 * size;
  for (const sizes of [[4, 64], [64, 4], [4, 5, 64]]) {
    const pace = new OnePace();
    for (const size of sizes) pace.know(kind(size), step(size) / size);
    for (const size of [1, 16, 256]) {
      const told = pace.rate(kind(size))! * size;
      assert.ok(Math.abs(told - step(size)) < 1e-9 * told, `${told} for ${size} by ${sizes}`);
    }
  }
  const larger = new OnePace(), equal = new OnePace();
  for (const size of [1, 4]) {
    larger.know(kind(size), size); // attention grows with the square
    equal.know(kind(size), size ** -2); // disturbed: the larger was done sooner
  }
  assert.deepEqual([larger.rate(kind(16)), larger.rate(kind(0.25))], [4, 1]);
  assert.deepEqual([equal.rate(kind(16)), equal.rate(kind(0.25))], [1 / 64, 4]);
});

Deno.test("of the job that runs its pace so far counts until one of its kind is completed, and no longer than it runs", () => {
  const pace = new OnePace();
  pace.now(kind(4), 8);
  assert.deepEqual([pace.rate(kind(4)), pace.rate(kind(1))], [8, 16]);
  pace.know(kind(1), 9);
  assert.deepEqual([pace.rate(kind(4)), pace.rate(kind(1))], [8, 9]);
  pace.runs();
  assert.equal(pace.rate(kind(4)), 4.5, "half, of nine");
  pace.know(kind(4), 3);
  pace.now(kind(4), 8);
  assert.equal(pace.rate(kind(4)), 3);
});

Deno.test("another model's pace is taken where nothing is known of a model, and kinds least recently used are forgotten", () => {
  const pace = new OnePace();
  pace.know(kind(4, "large"), 100);
  assert.equal(pace.rate(kind(1)), 100);
  for (let size = 1; size <= 100; size++) pace.know(kind(size), 1);
  assert.equal(pace.rate(kind(4, "large")), 1);
});
