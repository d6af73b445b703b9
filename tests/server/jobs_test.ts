import assert from "node:assert/strict";
import { decode } from "fast-png";
import { decodeBase64 } from "@std/encoding";
import { errorOf, moment, serve } from "./serve.ts";

/** The events of an SSE body. */
async function eventsOf(response: Response) {
  assert.equal(response.headers.get("content-type"), "text/event-stream");
  const blocks = (await response.text()).split("\n\n").filter((block) => block && !block.startsWith(":"));
  return blocks.map((block) => {
    const [, id, type, data] = /^id: (.*)\nevent: (.*)\ndata: (.*)$/.exec(block)!;
    return { id, type, data: JSON.parse(data) };
  });
}

Deno.test("POST /v1/jobs hands a job in, GET tells of it at every stage, and its picture is fetched later", async () => {
  using server = serve();
  const accepted = await server.send("POST", "/v1/jobs", { prompt: "x", seed: 3, foo: 1 });
  assert.equal(accepted.status, 202);
  assert.equal(accepted.headers.get("x-ignored-fields"), "foo");
  const { id, status, position, links } = await accepted.json();
  assert.deepEqual([status, position, links.self], ["queued", 0, `/v1/jobs/${id}`]);
  assert.equal(accepted.headers.get("location"), links.self);
  const view = async () => await (await server.send("GET", links.self)).json();
  const job = await server.engine.next();
  job.start();
  job.step(1);
  await moment();
  const running = await view();
  assert.deepEqual([running.status, running.progress], ["running", { step: 1, steps: 8 }]);
  for (let step = 2; step <= 8; step++) job.step(step);
  job.rows(0, 64);
  job.done();
  await moment();
  const completed = await view();
  assert.deepEqual([completed.status, completed.seed, completed.links.images], ["completed", 3, [
    `${links.self}/image/0`,
  ]]);
  assert.ok(completed.finished >= completed.created);
  const image = await server.send("GET", `${links.self}/image/0`);
  assert.equal(image.headers.get("x-seed"), "3");
  assert.equal(decode(await image.bytes()).width, 64);
  assert.equal((await errorOf(await server.send("GET", `${links.self}/image/1`))).status, 404);
  assert.deepEqual(await errorOf(await server.send("DELETE", links.self)).then(({ status, code }) => [status, code]), [
    409,
    "job_over",
  ]);
});

Deno.test("a job's events are told from the start, or after the last one that the client has", async () => {
  using server = serve();
  const { links, id } = await (await server.send("POST", "/v1/jobs", { prompt: "x", seed: 3, steps: 2 })).json();
  const live = server.send("GET", links.events);
  (await server.engine.next()).run();
  const events = await eventsOf(await live);
  assert.deepEqual(events.map(({ type }) => type), ["queued", "started", "progress", "progress", "image", "done"]);
  assert.deepEqual(events.map((event) => event.id), events.map((_, i) => `${id}:${i}`));
  assert.deepEqual(events[3].data, { step: 2, steps: 2, ms: 1 });
  const { b64, seed, infotext } = events[4].data;
  assert.equal(seed, 3);
  assert.match(infotext, /Seed: 3, /);
  assert.equal(decode(decodeBase64(b64)).height, 64);
  const after = (last: string) => server.send("GET", links.events, undefined, { headers: { "last-event-id": last } });
  assert.deepEqual(await eventsOf(await after(`${id}:3`)), events.slice(4));
  assert.equal((await after(`${id}:5`)).status, 204);
});

Deno.test("a job that waits hears of its new positions", async () => {
  using server = serve();
  const first = await (await server.send("POST", "/v1/jobs", { prompt: "x" })).json();
  const second = await (await server.send("POST", "/v1/jobs", { prompt: "y", steps: 1 })).json();
  assert.equal(second.position, 1);
  (await server.engine.next()).run();
  (await server.engine.next()).run();
  const events = await eventsOf(await server.send("GET", second.links.events));
  assert.deepEqual(events.slice(0, 2).map(({ type, data }) => [type, data.position ?? data.queue_ms >= 0]), [
    ["queued", 1],
    ["started", true],
  ]);
  assert.equal((await (await server.send("GET", first.links.self)).json()).status, "completed");
});

Deno.test("DELETE gives up the job named and no other, whether it waits or runs", async () => {
  using server = serve();
  const handIn = async (prompt: string) => await (await server.send("POST", "/v1/jobs", { prompt })).json();
  const [running, waiting, last] = [await handIn("a"), await handIn("b"), await handIn("c")];
  const job = await server.engine.next();
  assert.equal((await server.send("DELETE", waiting.links.self)).status, 202);
  await moment();
  const statusOf = async ({ links }: typeof running) => (await (await server.send("GET", links.self)).json()).status;
  assert.deepEqual([await statusOf(running), await statusOf(waiting), await statusOf(last)], [
    "running",
    "cancelled",
    "queued",
  ]);
  assert.equal(job.signal.aborted, false);
  assert.equal((await (await server.send("DELETE", running.links.self)).json()).status, "cancelled");
  assert.equal(job.signal.aborted, true);
  assert.equal((await errorOf(await server.send("DELETE", running.links.self))).code, "job_over");
  job.cancelled();
  const next = await server.engine.next();
  assert.equal(next.request.prompt, "c");
  const image = await server.send("GET", `${running.links.self}/image/0`);
  assert.equal(image.headers.get("x-should-retry"), "false");
  assert.equal((await errorOf(image)).code, "job_cancelled");
  next.run();
  assert.deepEqual(server.logged, []);
});

Deno.test("a job that nobody knows is 404", async () => {
  using server = serve();
  for (const path of ["", "/events", "/image/0"]) {
    assert.equal((await errorOf(await server.send("GET", `/v1/jobs/nonesuch${path}`))).code, "job_not_found");
  }
  const wrong = await server.send("PUT", "/v1/jobs/x");
  assert.deepEqual([wrong.status, wrong.headers.get("allow")], [405, "GET, HEAD, DELETE"]);
});

Deno.test("detach=1 lets a job go on without its client, and keeps its picture", async () => {
  using server = serve();
  const client = new AbortController();
  const answer = server.send("GET", "/generate?prompt=x&detach=1", undefined, { signal: client.signal });
  const job = await server.engine.next();
  client.abort();
  assert.equal(job.signal.aborted, false);
  job.run();
  const id = (await answer).headers.get("x-job-id");
  assert.equal(decode(await (await server.send("GET", `/v1/jobs/${id}/image/0`)).bytes()).width, 64);
});

Deno.test("a picture that went to its client is not kept", async () => {
  using server = serve();
  const answer = server.send("GET", "/generate?prompt=x");
  (await server.engine.next()).run();
  const response = await answer;
  await response.bytes();
  await moment();
  const id = response.headers.get("x-job-id");
  assert.equal((await errorOf(await server.send("GET", `/v1/jobs/${id}/image/0`))).code, "result_expired");
  assert.equal((await (await server.send("GET", `/v1/jobs/${id}`)).json()).status, "completed");
});

Deno.test("an Idempotency-Key gives the same job again, other fields with it are refused, and failures are tried anew", async () => {
  using server = serve();
  const headers = { "idempotency-key": "k" };
  const post = (body: unknown) => server.send("POST", "/generate", body, { headers });
  const [first, second] = [post({ prompt: "x" }), post({ prompt: "x" })];
  (await server.engine.next()).run();
  const bytes = await (await first).bytes();
  assert.deepEqual(await (await second).bytes(), bytes);
  const third = await post({ prompt: "x" });
  assert.equal(third.headers.get("x-job-id"), (await first).headers.get("x-job-id"));
  assert.deepEqual(await third.bytes(), bytes);
  assert.equal(server.engine.jobs.length, 1);
  const other = await errorOf(await post({ prompt: "y" }));
  assert.deepEqual([other.status, other.code], [422, "idempotency_mismatch"]);

  const failing = server.send("POST", "/generate", { prompt: "z" }, { headers: { "idempotency-key": "l" } });
  (await server.engine.next()).fail({ code: "out_of_memory", message: "Full" });
  assert.equal((await failing).status, 503);
  const again = server.send("POST", "/generate", { prompt: "z" }, { headers: { "idempotency-key": "l" } });
  (await server.engine.next()).run();
  assert.equal((await again).status, 200);
});

Deno.test("of two clients of one job the first to leave does not end it", async () => {
  using server = serve();
  const headers = { "idempotency-key": "k" };
  const client = new AbortController();
  const first = server.send("POST", "/generate", { prompt: "x" }, { headers, signal: client.signal });
  const job = await server.engine.next();
  const second = server.send("POST", "/generate", { prompt: "x" }, { headers });
  await moment();
  client.abort();
  assert.equal(job.signal.aborted, false);
  job.run();
  assert.equal((await second).status, 200);
  await (await second).bytes();
  await (await first).body?.cancel();
});

Deno.test("timeout_ms fails a job with 504, also while it waits", async () => {
  using server = serve();
  const first = server.send("GET", "/generate?prompt=x&timeout_ms=20");
  const second = server.send("GET", "/generate?prompt=y&timeout_ms=20");
  const job = await server.engine.next();
  const late = await errorOf(await second);
  assert.deepEqual([late.status, late.code], [504, "deadline_passed"]);
  assert.equal(job.signal.aborted, true);
  job.cancelled();
  assert.match((await errorOf(await first)).message, /^Job .* was not done after 20 ms, .* would do$/);
  assert.equal(server.queue.length, 0);
});

Deno.test("jobs of higher priority go first, and never before the one that runs", async () => {
  using server = serve();
  const handIn = (prompt: string, priority: number) => server.send("POST", "/v1/jobs", { prompt, priority });
  await handIn("running", 0);
  const running = await server.engine.next();
  for (const [prompt, priority] of [["low", -1], ["first", 5], ["second", 5], ["normal", 0]] as const) {
    await handIn(prompt, priority);
  }
  running.run();
  const order: string[] = [];
  for (let i = 0; i < 4; i++) {
    const job = await server.engine.next();
    order.push(job.request.prompt);
    job.run();
  }
  assert.deepEqual(order, ["first", "second", "normal", "low"]);
});

Deno.test("pictures are dropped after their time, or when all together are too many bytes, oldest first", async () => {
  let now = Date.now();
  using server = serve({ results: { ttlMs: 60_000, maxBytes: 1000, now: () => now } });
  const make = async (seed: number) => {
    const { links } = await (await server.send("POST", "/v1/jobs", { prompt: "x", seed })).json();
    (await server.engine.next()).run();
    await moment();
    return links.self as string;
  };
  const statusOf = async (self: string) => {
    const response = await server.send("GET", `${self}/image/0`);
    await response.body?.cancel();
    return response.status;
  };
  const [first, second, third] = [await make(1), await make(2), await make(3)];
  const size = (await (await server.send("GET", `${third}/image/0`)).bytes()).length;
  assert.ok(size > 1000 / 3 && size <= 500, `a picture has ${size} bytes`);
  assert.deepEqual([await statusOf(first), await statusOf(second), await statusOf(third)], [410, 200, 200]);
  now += 61_000;
  assert.deepEqual([await statusOf(second), await statusOf(third)], [410, 410]);
  now += 400_000;
  assert.equal(await statusOf(third), 404);
});
