import assert from "node:assert/strict";
import { DrainingError, type Place, Queue, QueueFullError, type Sharing } from "../../src/server/queue.ts";
import { moment } from "./serve.ts";

const signal = new AbortController().signal;

/** The work of a job that is all steps. */
const steps = (steps: number) => ({ steps, rest: 0 });

Deno.test("turns come in the order in which places were taken, one at a time", async () => {
  const queue = new Queue({ capacity: 3 });
  const places = [1, 2, 3].map(() => queue.enter({ work: steps(1) }));
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
  const reading = queue.enter({ work: steps(1) });
  const second = queue.enter({ work: steps(1) });
  await second.turn(signal);
  assert.deepEqual([reading.position, second.position], [0, 1]);
  second.leave();
  await reading.turn(signal);
});

Deno.test("enter() throws when every place is taken, until one is left", () => {
  const queue = new Queue({ capacity: 2 });
  const [first] = [queue.enter({ work: steps(1) }), queue.enter({ work: steps(1) })];
  assert.throws(() => queue.enter({ work: steps(1) }), QueueFullError);
  first.leave();
  first.leave();
  assert.equal(queue.length, 1);
  queue.enter({ work: steps(1) });
  assert.throws(() => queue.enter({ work: steps(1) }), QueueFullError);
});

Deno.test("the estimate is what the jobs held will take at the pace measured, less what the running one took", async () => {
  let now = 0;
  const queue = new Queue({ capacity: 9, now: () => now });
  const first = queue.enter({ work: steps(10) });
  await first.turn(signal);
  assert.equal(queue.estimatedMs, 10_000);
  now = 20_000;
  first.leave({ completed: true });
  const second = queue.enter({ work: steps(5) });
  queue.enter({ work: steps(20) });
  assert.equal(queue.estimatedMs, 50_000);
  await second.turn(signal);
  now += 4_000;
  assert.equal(queue.estimatedMs, 46_000);
  now += 400_000;
  assert.equal(queue.estimatedMs, 40_000, "the one that waits");
});

Deno.test("before a job is completed the estimate is what was guessed, then the pace of the one that runs", async () => {
  let now = 0;
  const queue = new Queue({ capacity: 9, now: () => now });
  const [first] = [1, 2, 3].map(() => queue.enter({ work: steps(10), guessMs: 4_000 }));
  assert.equal(queue.estimatedMs, 12_000);
  await first.turn(signal);
  now = 2_000;
  first.progress(0.1);
  assert.equal(queue.estimatedMs, 58_000);
  now = 3_000;
  first.progress(0.2);
  assert.equal(queue.estimatedMs, 42_000);
  now = 10_000;
  first.progress(1);
  first.leave({ completed: true });
  first.progress(0.5);
  assert.equal(queue.estimatedMs, 20_000);
});

Deno.test("jobs of a kind that was measured are judged by that, others by what is nearest, and by the one that runs", async () => {
  let now = 0;
  const queue = new Queue({ capacity: 9, now: () => now });
  const enter = (size: number) => queue.enter({ work: steps(10 * size), kind: { model: "tiny", size } });
  queue.learn({ model: "tiny", size: 1, rates: { steps: 1000, rest: 1000 } });
  const large = enter(16);
  await large.turn(signal);
  now += 80_000;
  large.leave({ completed: true });
  const first = enter(4);
  assert.equal(queue.estimatedMs, 24_000, "ten steps take 5333 ms, and 4667 ms for each part of their size");
  await first.turn(signal);
  now += 5_000;
  first.progress(0.25);
  const others = [enter(4), enter(1)];
  assert.equal(queue.estimatedMs, 15_000 + 20_000 + 10_000);
  now += 7_000;
  first.progress(1);
  first.leave({ completed: true });
  assert.equal(queue.estimatedMs, 12_000 + 10_000);
  for (const place of others) place.leave();
});

Deno.test("steps and what follows them have each a pace: of jobs of few steps it is most of the time", async () => {
  let now = 0;
  const queue = new Queue({ capacity: 9, now: () => now });
  const enter = (steps: number) => queue.enter({ work: { steps, rest: 1 } });
  const first = enter(2);
  await first.turn(signal);
  for (const share of [0.5, 1]) {
    now += 1000;
    first.progress(share);
  }
  now += 4000;
  first.leave({ completed: true });
  const second = enter(20);
  assert.equal(queue.estimatedMs, 24_000);
  second.leave();
});

Deno.test("a run that takes longer than was thought takes nothing off those that wait", async () => {
  let now = 0;
  const queue = new Queue({ capacity: 9, now: () => now });
  queue.learn({ model: "", size: 1, rates: { steps: 500, rest: 500 } });
  const slow = queue.enter({ work: steps(10) });
  await slow.turn(signal);
  for (let i = 0; i < 5; i++) queue.enter({ work: steps(10) });
  assert.equal(queue.estimatedMs, 30_000);
  now = 60_000;
  assert.equal(queue.estimatedMs, 25_000);
  slow.progress(0.5);
  assert.equal(queue.estimatedMs, 27_500, "it has half of its steps left");
  now += 500;
  assert.equal(queue.estimatedMs, 27_000);
});

Deno.test("a job that was given up does not count for the estimate", async () => {
  let now = 0;
  const queue = new Queue({ capacity: 9, now: () => now });
  for (const completed of [true, false]) {
    const place = queue.enter({ work: steps(1) });
    await place.turn(signal);
    now += completed ? 3_000 : 50;
    place.leave({ completed });
  }
  queue.enter({ work: steps(1) });
  assert.equal(queue.estimatedMs, 3_000);
});

Deno.test("turn() rejects with the signal's reason while it waits, and the next in line gets the turn", async () => {
  const queue = new Queue({ capacity: 3 });
  const [running, leaving, last] = [1, 2, 3].map(() => queue.enter({ work: steps(1) }));
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
  const place = queue.enter({ work: steps(1) });
  let drained = false;
  const drain = queue.drain().then(() => drained = true);
  assert.throws(() => queue.enter({ work: steps(1) }), DrainingError);
  await place.turn(signal);
  assert.equal(drained, false);
  place.leave({ completed: true });
  await drain;
  await queue.drain();
});

/** Jobs that are alike run together in the numbers given, each in half the time that it takes alone. */
function sharing(most: number): Sharing {
  return { together: (_, waiting) => Math.min(most, waiting), share: () => 0.5 };
}

Deno.test("with the first one run those alike behind it, up to as many as gain by it, and the next ones after all have left", async () => {
  const queue = new Queue({ capacity: 9, sharing: sharing(3) }), began: string[] = [];
  const enter = (name: string, alike?: string) => {
    const place = queue.enter({ work: steps(1), alike });
    place.turn(signal).then(({ together }) => began.push(`${name}${together.indexOf(place)} of ${together.length}`));
    return place;
  };
  const first = enter("first");
  const [a, b, c, d, e, f] = ["a", "b", "a", "a", "a", undefined].map((alike, i) => enter("abcdef"[i], alike));
  await moment();
  assert.deepEqual(began.splice(0), ["first0 of 1"]);
  first.leave({ completed: true });
  await moment();
  assert.deepEqual(began.splice(0), ["a0 of 3", "c1 of 3", "d2 of 3"]);
  assert.deepEqual([a, c, d, b, e, f].map(({ position }) => position), [0, 1, 2, 3, 4, 5]);
  c.leave();
  a.leave({ completed: true });
  await moment();
  assert.deepEqual(began, [], "one of them still runs");
  d.leave({ completed: true });
  await moment();
  assert.deepEqual(began.splice(0), ["b0 of 1"]);
  b.leave();
  await moment();
  assert.deepEqual(began, ["e0 of 1"]);
});

Deno.test("one that gives its turn back waits for the next, before those that came later and behind more urgent ones", async () => {
  let now = 0;
  const queue = new Queue({ capacity: 9, sharing: sharing(3), now: () => now }), began: string[] = [];
  const take = async (name: string, place: Place) => {
    const { waitedMs, together } = await place.turn(signal);
    began.push(`${name}${together.length}`);
    return waitedMs;
  };
  const blocker = queue.enter({ work: steps(10) }), moves: number[] = [];
  await blocker.turn(signal);
  const [a, b, c] = [0, 1, 2].map(() => queue.enter({ work: steps(10), alike: "a", moved: (at) => moves.push(at) }));
  const later = queue.enter({ work: steps(10) });
  const waits = [a, b, c, later].map((place, i) => take("abcl"[i], place));
  now += 10_000;
  blocker.leave({ completed: true }); // a second for each of its work
  assert.equal(await waits[1], 10_000);
  assert.equal(queue.estimatedMs, 25_000, "three in half their time, and one");
  b.defer();
  c.defer();
  assert.equal(queue.estimatedMs, 30_000, "one, two in half their time, and one");
  const again = [take("b", b), take("c", c)], urgent = queue.enter({ work: steps(1), priority: 1 });
  take("u", urgent);
  await moment();
  assert.deepEqual([a, urgent, b, c, later].map(({ position }) => position), [0, 1, 2, 3, 4]);
  assert.deepEqual([began.splice(0), moves.splice(0)], [["a3", "b3", "c3"], [1, 2, 2, 3]]);
  b.defer(); // it has no turn to give back
  now += 7000;
  a.leave();
  await moment();
  assert.deepEqual(began.splice(0), ["u1"]);
  urgent.leave();
  await moment();
  assert.deepEqual(began.splice(0), ["b2", "c2"]);
  assert.equal(await again[0], 17_000, "all that it waited");
  b.leave();
  c.leave();
  await moment();
  assert.deepEqual(began, ["l1"]);
});

Deno.test("none rides along before a more urgent one that waits, or once it was given up, or before it is ready", async () => {
  const queue = new Queue({ capacity: 9, sharing: sharing(9) });
  const running = queue.enter({ work: steps(1) }), began: number[] = [], client = new AbortController();
  await running.turn(signal);
  const places = ([[5, "a"], [5, "b"], [5, "a"], [0, "a"], [5, "a"], [5, "a"]] as const).map(([priority, alike]) =>
    queue.enter({ work: steps(1), priority, alike })
  );
  const turns = places.slice(0, 5).map((place, i) =>
    place.turn(i === 4 ? client.signal : signal).then(() => began.push(i), () => {})
  );
  client.abort();
  running.leave(); // before the one that was given up has
  await moment();
  assert.deepEqual(began, [0, 2]);
  for (const at of [0, 2, 4]) places[at].leave();
  await turns[1];
  places[1].leave();
  await turns[3];
  assert.deepEqual(began, [0, 2, 1, 3]);
});

Deno.test("the estimate counts on jobs that will run together, and learns from whole runs", async () => {
  let now = 0;
  const queue = new Queue({ capacity: 9, sharing: sharing(4), now: () => now });
  const run = async (count: number, ms: number) => {
    const places = Array.from({ length: count }, () => queue.enter({ work: steps(10), alike: "a" }));
    const first = queue.estimatedMs;
    await Promise.all(places.map((place) => place.turn(signal)));
    now += ms;
    places.forEach((place, i) => place.leave({ completed: i > 0 || count === 1 }));
    return first;
  };
  await run(1, 10_000); // a second for each of its work
  const blocker = queue.enter({ work: steps(1) });
  await blocker.turn(signal);
  const estimate = run(4, 20_000);
  assert.equal(queue.estimatedMs, 21_000, "four in half the time of four, and one");
  blocker.leave();
  await estimate;
  assert.equal(await run(1, 10_000), 10_000, "what four took together is no news of the pace");
  const [one, two] = [1, 2].map(() => queue.enter({ work: steps(10), alike: "a" }));
  assert.equal(queue.estimatedMs, 10_000);
  await one.turn(signal);
  now += 2000;
  assert.equal(queue.estimatedMs, 18_000, "one had begun before the other was ready");
  two.leave();
  one.leave();
});
