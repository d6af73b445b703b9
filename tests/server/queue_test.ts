import assert from "node:assert/strict";
import { DrainingError, Queue, QueueFullError } from "../../src/server/queue.ts";

const signal = new AbortController().signal;

Deno.test("turns come in the order in which places were taken, one at a time", async () => {
  const queue = new Queue({ capacity: 3 });
  const places = [1, 2, 3].map(() => queue.enter({ work: 1 }));
  const order: number[] = [];
  const turns = places.map((place, i) => place.turn(signal).then(() => order.push(i)));
  for (const [i, place] of places.entries()) {
    await turns[i];
    assert.deepEqual(order, [0, 1, 2].slice(0, i + 1));
    assert.equal(place.position, 0);
    place.leave({ completed: true });
  }
});

Deno.test("a place whose job is not ready yet holds up none behind it", async () => {
  const queue = new Queue({ capacity: 3 });
  const reading = queue.enter({ work: 1 });
  const second = queue.enter({ work: 1 });
  await second.turn(signal);
  assert.deepEqual([reading.position, second.position], [0, 1]);
  second.leave();
  await reading.turn(signal);
});

Deno.test("enter() throws when every place is taken, until one is left", () => {
  const queue = new Queue({ capacity: 2 });
  const [first] = [queue.enter({ work: 1 }), queue.enter({ work: 1 })];
  assert.throws(() => queue.enter({ work: 1 }), QueueFullError);
  first.leave();
  first.leave();
  assert.equal(queue.length, 1);
  queue.enter({ work: 1 });
  assert.throws(() => queue.enter({ work: 1 }), QueueFullError);
});

Deno.test("the estimate is what the jobs held will take at the pace measured, less what the running one took", async () => {
  let now = 0;
  const queue = new Queue({ capacity: 9, now: () => now });
  const first = queue.enter({ work: 10 });
  await first.turn(signal);
  assert.equal(queue.estimatedMs, 10_000);
  now = 20_000;
  first.leave({ completed: true });
  const second = queue.enter({ work: 5 });
  queue.enter({ work: 20 });
  assert.equal(queue.estimatedMs, 50_000);
  await second.turn(signal);
  now += 4_000;
  assert.equal(queue.estimatedMs, 46_000);
  now += 400_000;
  assert.equal(queue.estimatedMs, 1_000);
});

Deno.test("before a job is completed the estimate is what was guessed, then the pace of the one that runs", async () => {
  let now = 0;
  const queue = new Queue({ capacity: 9, now: () => now });
  const [first] = [1, 2, 3].map(() => queue.enter({ work: 10, guessMs: 4_000 }));
  assert.equal(queue.estimatedMs, 12_000);
  await first.turn(signal);
  now = 2_000;
  first.progress(1);
  assert.equal(queue.estimatedMs, 58_000);
  now = 3_000;
  first.progress(2);
  assert.equal(queue.estimatedMs, 42_000);
  now = 10_000;
  first.leave({ completed: true });
  first.progress(5);
  assert.equal(queue.estimatedMs, 20_000);
});

Deno.test("a job that was given up does not count for the estimate", async () => {
  let now = 0;
  const queue = new Queue({ capacity: 9, now: () => now });
  for (const completed of [true, false]) {
    const place = queue.enter({ work: 1 });
    await place.turn(signal);
    now += completed ? 3_000 : 50;
    place.leave({ completed });
  }
  queue.enter({ work: 1 });
  assert.equal(queue.estimatedMs, 3_000);
});

Deno.test("turn() rejects with the signal's reason while it waits, and the next in line gets the turn", async () => {
  const queue = new Queue({ capacity: 3 });
  const [running, leaving, last] = [1, 2, 3].map(() => queue.enter({ work: 1 }));
  await running.turn(signal);
  const client = new AbortController();
  const turn = leaving.turn(client.signal);
  const lastTurn = last.turn(signal);
  client.abort(new DOMException("left", "AbortError"));
  await assert.rejects(turn, { name: "AbortError" });
  leaving.leave();
  running.leave();
  await lastTurn;
});

Deno.test("drain() refuses newcomers and resolves when the last job has left", async () => {
  const queue = new Queue({ capacity: 3 });
  const place = queue.enter({ work: 1 });
  let drained = false;
  const drain = queue.drain().then(() => drained = true);
  assert.throws(() => queue.enter({ work: 1 }), DrainingError);
  await place.turn(signal);
  assert.equal(drained, false);
  place.leave({ completed: true });
  await drain;
  await queue.drain();
});
