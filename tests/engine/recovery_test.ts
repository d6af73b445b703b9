/** What becomes of jobs and of the engine when a device or a Worker fails. */
import assert from "node:assert/strict";
import {
  createEngine,
  type Engine,
  EngineError,
  type EngineOptions,
  type JobProgress,
} from "../../src/engine/client.ts";
import { Recovery } from "../../src/engine/recovery.ts";
import { parseRequest } from "../../src/engine/request.ts";
import { Pace, Watchdog } from "../../src/engine/watchdog.ts";
import { info } from "../server/fake_engine.ts";

const module = new URL("./scripted_worker.ts", import.meta.url);
const never = new AbortController().signal;

async function start(options: Partial<EngineOptions> = {}) {
  const lines: string[] = [];
  const engine = createEngine({ model: "tiny", module, backoffMs: 1, log: (line) => lines.push(line), ...options });
  await engine.ready;
  return Object.assign(engine, { lines, [Symbol.dispose]: () => engine.close() });
}

let ids = 0;
function run(engine: Engine, prompt: string, signal = never): ReadableStream<JobProgress> {
  return engine.generate(`${ids++}`, parseRequest(new Map([["prompt", prompt]]), info).request, signal);
}

/** What a job's stream rejects with. */
async function failureOf(events: ReadableStream): Promise<EngineError> {
  const error = await Array.fromAsync(events).then(() => assert.fail("it did not fail"), (error) => error);
  assert.ok(error instanceof EngineError, `${error}`);
  return error;
}

/** Events without what differs between jobs and Workers. */
function plain(events: JobProgress[]): string[] {
  return events.map((event) => {
    if (event.type === "step") return `step ${event.step}`;
    if (event.type === "preview") return `preview ${event.step} of ${event.image}`;
    return event.type === "rows" ? `rows ${event.top} of ${event.image}` : event.type;
  });
}

for (const [what, kind] of [["lose", "device_lost"], ["crash", "worker_crashed"], ["hang", "device_hung"]] as const) {
  Deno.test(`a job begun again (${kind}), at whatever event, tells each of its events once; others wait for their turn`, async () => {
    using calm = await start();
    const whole = plain(await Array.fromAsync(run(calm, "finish")));
    assert.equal(whole.length, 12);
    // Losing a device is quick and quiet, so at each of them.
    await Promise.all((what === "lose" ? whole.keys().toArray() : [0, 7]).map(async (after) => {
      using engine = await start({ gpuTimeout: what === "hang" ? 300 : undefined });
      const jobs = [`${what} ${after}`, "finish", "finish"].map((prompt) => Array.fromAsync(run(engine, prompt)));
      for (const events of await Promise.all(jobs)) assert.deepEqual(plain(events), whole, `${what} ${after}`);
      const counts = { device_lost: 0, device_hung: 0, worker_crashed: 0, out_of_memory: 0, recoveries: 1, retries: 1 };
      assert.deepEqual(engine.faults, { ...counts, [kind]: 1 });
      assert.equal(engine.status.state, "ready");
    }));
  });
}

/** Jobs that are handed over at once. */
function runTogether(engine: Engine, prompts: readonly string[], signals: readonly AbortSignal[] = []) {
  return engine.generateTogether(prompts.map((prompt, i) => {
    const { request } = parseRequest(new Map([["prompt", prompt]]), info);
    return { id: `${ids++}`, request, signal: signals[i] ?? never };
  }));
}

Deno.test("jobs that run together when a device is lost are each begun again once, alone, and tell each event once", async () => {
  using engine = await start();
  const whole = plain(await Array.fromAsync(run(engine, "finish")));
  const before = runTogether(engine, ["lose 4", "finish", "finish"]).map(({ events }) => events),
    after = run(engine, "finish");
  for (const events of [...before, after]) assert.deepEqual(plain(await Array.fromAsync(events)), whole);
  assert.deepEqual([engine.faults.device_lost, engine.faults.retries, engine.faults.recoveries], [1, 3, 1]);

  using other = await start();
  const [poison, ...others] = runTogether(other, ["lose 3 always", "finish", "finish"]).map(({ events }) => events);
  assert.equal((await failureOf(poison)).code, "device_lost");
  for (const events of others) assert.deepEqual(plain(await Array.fromAsync(events)), whole, "it takes none with it");
  assert.deepEqual([other.faults.device_lost, other.faults.retries, other.faults.recoveries], [2, 3, 2]);
});

Deno.test("jobs that fail together for want of memory are one fault, and each that is wanted is begun again, alone", async () => {
  using engine = await start();
  const whole = plain(await Array.fromAsync(run(engine, "finish"))), client = new AbortController();
  const [left, ...jobs] = runTogether(engine, ["part 3", "part 5", "part 8"], [client.signal]);
  client.abort(new DOMException("left", "AbortError"));
  for (const { begun, events } of jobs) {
    assert.equal(await begun, true);
    assert.deepEqual(plain(await Array.fromAsync(events)), whole);
  }
  await assert.rejects(Array.fromAsync(left.events), { name: "AbortError" });
  assert.deepEqual([engine.faults.out_of_memory, engine.faults.retries], [1, 3]);
});

Deno.test("a job that a batch has no room for has not begun, and a device that is lost then has not failed it", async () => {
  using engine = await start();
  const whole = plain(await Array.fromAsync(run(engine, "finish")));
  const [first, other] = runTogether(engine, ["lose 4", "defer"]);
  assert.equal(await other.begun, false);
  assert.deepEqual(await Array.fromAsync(other.events), []);
  assert.equal(await first.begun, true);
  assert.deepEqual(plain(await Array.fromAsync(first.events)), whole);
  assert.deepEqual([engine.faults.device_lost, engine.faults.retries], [1, 1]);
  assert.deepEqual(plain(await Array.fromAsync(run(engine, "defer"))), whole);
});

Deno.test("a job that the Worker begins again for want of memory tells each of its events once", async () => {
  using engine = await start();
  const whole = plain(await Array.fromAsync(run(engine, "finish")));
  assert.deepEqual(plain(await Array.fromAsync(run(engine, "again 8"))), whole);
  assert.deepEqual([engine.faults.out_of_memory, engine.faults.retries, engine.faults.recoveries], [1, 1, 0]);
});

for (const [what, kind] of [["lose", "device_lost"], ["crash", "worker_crashed"]] as const) {
  Deno.test(`a job that fails twice with ${kind} is not begun a third time, and the next one is made`, async () => {
    using engine = await start();
    const [poison, next] = [run(engine, `${what} 3 always`), run(engine, "finish")];
    const error = await failureOf(poison);
    assert.equal(error.code, kind);
    assert.match(error.message, /^(It fell off|The engine's Worker failed: .+), twice with this job, .+ would do$/);
    assert.equal((await Array.fromAsync(next)).at(-1)!.type, "done");
    while (engine.status.state !== "ready") await new Promise((resolve) => setTimeout(resolve, 1));
    assert.deepEqual([engine.faults[kind], engine.faults.recoveries, engine.faults.retries], [2, 2, 1]);
  });
}

Deno.test("while it recovers an engine says so, takes jobs, and lets those go that nobody wants", async () => {
  using engine = await start({ model: "slow", backoffMs: 100 }); // two starts in vain
  const client = new AbortController(), [running, left] = [run(engine, "lose 1"), run(engine, "finish")];
  while (engine.status.state !== "recovering") await new Promise((resolve) => setTimeout(resolve, 1));
  assert.equal(engine.status.error.message, "It fell off");
  const [later, given] = [run(engine, "finish"), run(engine, "finish", client.signal)];
  const described = engine.describe("other");
  client.abort(new DOMException("left", "AbortError"));
  await left.cancel();
  await assert.rejects(Array.fromAsync(given), { name: "AbortError" });
  assert.equal(engine.status.state, "recovering");
  for (const events of [running, later]) assert.equal((await Array.fromAsync(events)).at(-1)!.type, "done");
  assert.equal((await described).model.name, "other");
  assert.equal(engine.faults.recoveries, 1);
});

Deno.test("a question that a device was lost over is asked again", async () => {
  using engine = await start();
  assert.equal((await engine.describe("lose")).model.name, "lose");
});

Deno.test("an engine that cannot be started again fails for good, and every job with it", async () => {
  const heard: EngineError[] = [];
  using engine = await start({ model: "doomed", gaveUp: (error) => heard.push(error) });
  const [running, waiting] = [run(engine, "lose 1"), run(engine, "finish")];
  for (const job of [running, waiting]) {
    const error = await failureOf(job);
    assert.equal(error.code, "engine_failed");
    assert.match(error.message, /not started any more, a new process would do; the last time: There is no such model$/);
  }
  assert.equal(engine.status.state, "failed");
  assert.deepEqual(heard, [engine.status.error]);
  assert.equal((await failureOf(run(engine, "finish"))).code, "engine_failed");
  assert.equal(engine.lines.filter((line) => line.startsWith("loading")).length, 7, "the first and six more");
});

Deno.test("a start that hangs is given up as well", async () => {
  using engine = await start({ model: "stuck", gpuTimeout: 200 });
  assert.equal((await Array.fromAsync(run(engine, "lose 1"))).at(-1)!.type, "done");
  assert.equal(engine.faults.device_hung, 0, "the device is lost, not hung");
});

Deno.test("a first start that says nothing is given up, for whoever wanted it to judge; one that is slow is not", async () => {
  const gpuTimeout = 150; // ten times that may a start be silent
  const large = start({ model: "large", gpuTimeout });
  const silent = createEngine({ model: "silent", module, gpuTimeout });
  await assert.rejects(silent.ready, { name: "EngineError", code: "device_hung", message: /has not answered for/ });
  assert.equal(silent.status.state, "failed");
  silent.close();
  using slow = await large;
  assert.equal(slow.status.state, "ready");
});

Deno.test("weights that were to move when a device was lost or hung are moved on the next one", async () => {
  for (const [model, kind] of [["lose", "device_lost"], ["hang", "device_hung"]] as const) {
    using engine = await start({ gpuTimeout: 300 });
    await engine.load(model);
    await engine.unload();
    assert.deepEqual([engine.faults[kind], engine.faults.recoveries], [1, 1]);
    const moves = engine.lines.filter((line) => /^(un)?load in/.test(line));
    assert.deepEqual(moves, ["load in life 0", "load in life 1", "unload in life 1"]);
    await assert.rejects(engine.load("missing"), { name: "EngineError", code: "invalid_request" });
  }
  const failed = createEngine({ model: "missing", module });
  await assert.rejects(failed.unload(), { name: "EngineError" });
  failed.close();
});

Deno.test("another adapter or precision, whose pictures would be others, is waited out", async () => {
  using engine = await start({ model: "moved" });
  assert.equal((await Array.fromAsync(run(engine, "lose 1"))).at(-1)!.type, "done");
  assert.deepEqual(engine.status, { state: "ready", info });
  assert.ok(engine.lines.some((line) => line.startsWith("Found llvmpipe in f16 in place of llvmpipe in f32")));
});

Deno.test("starts in a row are further and further apart, and end; a picture between them makes it all forgotten", () => {
  let now = 0;
  const recovery = new Recovery({ backoffMs: 1000, now: () => now });
  const failures = (count: number) => Array.from({ length: count }, () => recovery.failed());
  assert.deepEqual(failures(7), [0, 1000, 2000, 4000, 8000, 16000, undefined]);
  recovery.succeeded();
  assert.deepEqual(failures(2), [0, 1000]);
  now = 600_000;
  assert.deepEqual(failures(1), [0], "ten minutes later that has nothing to do with it");
});

Deno.test("a job is granted ten of the slowest steps of its size, and never less than the floor", () => {
  const pace = new Pace(1000), size = (side: number, n?: number) => ({ width: side, height: side, n });
  assert.equal(pace.allowance(size(64)), 1000);
  pace.started({ timing: { load: 5, warm: 300 }, model: info.model }); // at 64 × 64
  assert.equal(pace.allowance(size(64)), 3000);
  assert.equal(pace.allowance(size(8)), 3000);
  assert.equal(pace.allowance(size(128)), 3000 * 4 ** 2);
  assert.equal(pace.allowance(size(64, 2)), 3000 * 2 ** 2);
  pace.step(size(64), 150);
  assert.equal(pace.allowance(size(64)), 1500, "what was measured counts more than what starting took");
  pace.step(size(128), 500);
  pace.step(size(32), 20);
  assert.equal(pace.allowance(size(128)), 5000);
  pace.step(size(64), 900);
  assert.equal(pace.allowance(size(128)), 9000, "the machine has become slower");
  const hires = { ...size(64), hires: { ...size(256) } as never };
  assert.equal(pace.allowance(hires), 9000 * 4 ** 2);
  assert.equal(pace.startAllowance(2000), 20_000);
  assert.equal(pace.startAllowance(), 10_000, "nothing is known of the first start");
  assert.equal(new Pace(Infinity).allowance(size(64)), Infinity);
});

Deno.test("a watchdog bites once nothing was heard for long enough, and not when it rests or waits for ever", async () => {
  const bites: number[] = [], dog = new Watchdog((ms) => bites.push(ms));
  const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
  for (let i = 0; i < 4; i++) {
    dog.expect(60);
    await sleep(30);
  }
  assert.deepEqual(bites, []);
  await sleep(60);
  assert.deepEqual(bites, [60]);
  dog.expect(20);
  dog.rest();
  dog.expect(Infinity);
  await sleep(40);
  assert.deepEqual(bites, [60]);
});

Deno.test("a watchdog whose own thread stood still gives the other one the time again", async () => {
  const bites: number[] = [], dog = new Watchdog((ms) => bites.push(ms));
  dog.expect(50);
  for (const began = performance.now(); performance.now() < began + 1100;);
  await new Promise((resolve) => setTimeout(resolve, 20));
  assert.deepEqual(bites, []);
  await new Promise((resolve) => setTimeout(resolve, 100));
  assert.deepEqual(bites, [50]);
});
