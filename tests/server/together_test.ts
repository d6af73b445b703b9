/** Jobs that run together, each with its own events, end and times. */
import assert from "node:assert/strict";
import { decode } from "fast-png";
import { Batching } from "../../src/server/batching.ts";
import type { FakeJob } from "./fake_engine.ts";
import { errorOf, moment, serve } from "./serve.ts";

/** A server in which two run together, and then up to four. */
async function start() {
  const batching = new Batching({ most: 4 }), server = serve({ batching, capacity: 16 });
  for (const [count, ms] of [[1, 40], [2, 45], [4, 60]]) {
    const { answers, unblock } = await wait(server, Array(count).fill("steps=2"));
    await unblock();
    const run = server.engine.runs.at(-1)!;
    assert.equal(run.length, count);
    for (const job of run) finish(job, { pictures: count, ms });
    for (const answer of answers) await (await answer).bytes();
  }
  return server;
}

function finish(job: FakeJob, step: { pictures: number; ms: number }): void {
  job.start();
  for (let i = 1; i <= job.request.steps; i++) job.step(i, step);
  job.stages();
  job.rows(0, 64);
  job.done();
}

/** Has jobs wait behind one of another kind that runs, to be let go by `unblock`; what they are answered. */
async function wait(server: ReturnType<typeof serve>, queries: readonly string[]) {
  const before = server.queue.length, { runs } = server.engine, count = runs.length;
  const blocking = server.send("GET", "/generate?prompt=x&width=128");
  while (runs.length === count) await moment();
  const answers: Promise<Response>[] = [];
  for (const query of queries) {
    answers.push(server.send("GET", `/generate?prompt=x&${query}`));
    while (server.queue.length < before + 1 + answers.length) await moment();
  }
  const [blocker] = runs.at(-1)!;
  const unblock = async () => {
    blocker.run();
    await (await blocking).bytes();
    await moment();
  };
  return { answers, unblock };
}

Deno.test("jobs alike that wait are handed over together, once steps have shown that it helps, and each is answered its own", async () => {
  using server = await start();
  const { answers, unblock } = await wait(server, ["seed=1", "seed=2", "seed=3&steps=9", "seed=4", "seed=5", "seed=6"]);
  await unblock();
  const seeds = () => server.engine.runs.at(-1)!.map(({ request }) => request.seed);
  assert.deepEqual(seeds(), [1, 2, 4, 5], "the head's kind, up to four, past one of another kind");
  const together = server.engine.runs.at(-1)!;
  for (const job of together.toReversed()) finish(job, { pictures: 4, ms: 60 });
  for (const at of [0, 1, 3, 4]) {
    const response = await answers[at], png = decode(await response.bytes());
    assert.deepEqual([response.status, png.data[0], response.headers.get("x-seed")], [200, at + 1, `${at + 1}`]);
  }
  await moment();
  assert.deepEqual(seeds(), [3]);
  server.engine.runs.at(-1)![0].run();
  await (await answers[2]).bytes();
  await moment();
  assert.deepEqual(seeds(), [6]);
  server.engine.runs.at(-1)![0].run();
  await (await answers[5]).bytes();
  const page = await (await server.send("GET", "/metrics")).text();
  // Blockers, one, two, four; the blocker, four, one, one.
  const counts = page.match(/^sd_run_jobs_bucket.*$/gm)!.map((line) => Number(line.split(" ")[1]));
  assert.deepEqual(counts, [7, 8, 10, 10, 10, 10]);
  assert.match(page, /^sd_run_jobs_sum 17$/m);
});

Deno.test("one for which a batch has no room has another turn: after one more urgent, before those that came later", async () => {
  using server = await start();
  const { answers, unblock } = await wait(server, ["seed=1", "seed=2", "seed=3", "seed=4"]);
  answers.push(server.send("GET", "/generate?prompt=x&seed=5&steps=9"));
  await unblock();
  const seeds = () => server.engine.runs.at(-1)!.map(({ request }) => request.seed);
  assert.deepEqual(seeds(), [1, 2, 3, 4]);
  const [of1, of2, of3, of4] = server.engine.runs.at(-1)!;
  of2.defer();
  of3.defer();
  of1.start();
  of4.start();
  await moment();
  const urgent = server.send("GET", "/generate?prompt=x&seed=6&priority=1");
  await moment();
  const page = await (await server.send("GET", "/metrics")).text();
  assert.match(page, /^sd_queue_jobs\{state="running"\} 2$/m);
  assert.match(page, /^sd_queue_jobs\{state="queued"\} 4$/m);
  for (const job of [of1, of4]) finish(job, { pictures: 2, ms: 45 });
  for (const at of [0, 3]) assert.equal(decode(await (await answers[at]).bytes()).data[0], at + 1);
  await moment();
  assert.deepEqual(seeds(), [6]);
  finish(server.engine.runs.at(-1)![0], { pictures: 1, ms: 40 });
  await (await urgent).bytes();
  await moment();
  assert.deepEqual(seeds(), [2, 3]);
  for (const job of server.engine.runs.at(-1)!) finish(job, { pictures: 2, ms: 45 });
  for (const at of [1, 2]) assert.equal(decode(await (await answers[at]).bytes()).data[0], at + 1);
  await moment();
  assert.deepEqual(seeds(), [5]);
  server.engine.runs.at(-1)![0].run();
  await (await answers[4]).bytes();
  assert.match(await (await server.send("GET", "/metrics")).text(), /^sd_run_jobs_sum 17$/m, "1 1 1 2 1 4, 1 2 1 2 1");
});

Deno.test("of jobs that run together one that is left, or fails, or is late ends alone, and the next run waits for the others", async () => {
  using server = await start();
  const { answers, unblock } = await wait(server, [
    "seed=1&priority=1",
    "seed=2&priority=1",
    "seed=3&priority=1",
    "seed=4&timeout_ms=100",
    "seed=5",
  ]);
  const client = new AbortController();
  const left = server.send("GET", "/generate?prompt=x&seed=9&priority=1", undefined, { signal: client.signal });
  await moment();
  await unblock();
  const run = server.engine.runs.at(-1)!, [of1, of2, of3, of9] = run;
  assert.deepEqual(run.map(({ request }) => request.seed), [1, 2, 3, 9], "none less urgent with them");
  client.abort();
  await moment();
  assert.deepEqual(run.map(({ signal }) => signal.aborted), [false, false, false, true]);
  of9.cancelled();
  await left.then((response) => response.body?.cancel(), () => {});
  of1.fail({ code: "invalid_request", message: "Field prompt is too long", field: "prompt" });
  assert.equal((await errorOf(await answers[0])).status, 400);
  assert.equal((await errorOf(await answers[3])).code, "deadline_passed");
  for (const job of [of2, of3]) {
    assert.equal(server.engine.runs.at(-1), run, "the next one waits");
    finish(job, { pictures: 4, ms: 60 });
    await (await answers[job.request.seed - 1]).bytes();
    await moment();
  }
  const last = server.engine.runs.at(-1)!;
  assert.deepEqual(last.map(({ request }) => request.seed), [5]);
  last[0].run();
  assert.equal(decode(await (await answers[4]).bytes()).data[0], 5);
});
