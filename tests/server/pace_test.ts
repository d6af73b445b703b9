import assert from "node:assert/strict";
import { Pace } from "../../src/server/pace.ts";

const kind = (size: number, model = "tiny") => ({ model, size });

Deno.test("a kind that was measured has its own pace, which the newest share of it moves", () => {
  const pace = new Pace();
  assert.equal(pace.of(kind(1)), undefined);
  pace.learn(kind(1), 10, 0.5);
  pace.learn(kind(4), 3, 0.5);
  assert.deepEqual([pace.of(kind(1)), pace.of(kind(4))], [10, 3]);
  pace.learn(kind(1), 20, 0.5);
  assert.deepEqual([pace.of(kind(1)), pace.of(kind(4))], [15, 3]);
});

Deno.test("by one size, a step four times as large takes twice as long: between as long and four times as long", () => {
  const pace = new Pace();
  pace.learn(kind(16), 10, 1);
  for (const [size, times] of [[64, 2], [4, 0.5]]) {
    const step = pace.of(kind(size))! * size / (10 * 16);
    assert.ok(Math.abs(step - times) < 1e-9, `${step}`);
  }
});

Deno.test("two sizes tell of others: a step takes a while whatever its size, and a while for each part of it", () => {
  const step = (size: number) => 30 + 2 * size;
  for (const sizes of [[4, 64], [64, 4], [4, 5, 64]]) {
    const pace = new Pace();
    for (const size of sizes) pace.learn(kind(size), step(size) / size, 1);
    for (const size of [1, 16, 256]) {
      const told = pace.of(kind(size))! * size;
      assert.ok(Math.abs(told - step(size)) < 1e-9 * told, `${told} for ${size} by ${sizes}`);
    }
  }
  const larger = new Pace(), equal = new Pace();
  for (const size of [1, 4]) {
    larger.learn(kind(size), size, 1); // attention grows with the square
    equal.learn(kind(size), size ** -2, 1); // disturbed: the larger was done sooner
  }
  assert.deepEqual([larger.of(kind(16)), larger.of(kind(0.25))], [4, 1]);
  assert.deepEqual([equal.of(kind(16)), equal.of(kind(0.25))], [1 / 64, 4]);
});

Deno.test("of the job that runs its pace so far counts until one of its kind is completed, and no longer than it runs", () => {
  const pace = new Pace();
  pace.runs({ ...kind(4), msPerWork: 8 });
  assert.deepEqual([pace.of(kind(4)), pace.of(kind(1))], [8, 16]);
  pace.learn(kind(1), 9, 1);
  assert.deepEqual([pace.of(kind(4)), pace.of(kind(1))], [8, 9]);
  pace.runs();
  assert.equal(pace.of(kind(4)), 4.5, "half, of nine");
  pace.learn(kind(4), 3, 1);
  pace.runs({ ...kind(4), msPerWork: 8 });
  assert.equal(pace.of(kind(4)), 3);
});

Deno.test("another model's pace is taken where nothing is known of a model, and kinds least recently used are forgotten", () => {
  const pace = new Pace();
  pace.learn(kind(4, "large"), 100, 1);
  assert.equal(pace.of(kind(1)), 100);
  for (let size = 1; size <= 100; size++) pace.learn(kind(size), 1, 1);
  assert.equal(pace.of(kind(4, "large")), 1);
});
