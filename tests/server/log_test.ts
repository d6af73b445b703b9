import assert from "node:assert/strict";
import { EngineError } from "../../src/engine/client.ts";
import { Log, type LogFormat, type LogLevel } from "../../src/server/log.ts";
import { KeyRing } from "../../src/server/keys.ts";
import { info } from "./fake_engine.ts";
import { moment, serve, type ServeOptions } from "./serve.ts";

function collect(format: LogFormat, level: LogLevel) {
  const lines: string[] = [];
  const now = () => new Date("2026-01-02T03:04:05.678Z");
  return { lines, log: new Log({ format, level, now, write: (_, line) => void lines.push(line) }) };
}

Deno.test("a line is for people, or JSON that says the same, and only of the level that is asked for", () => {
  const text = collect("text", "info"), json = collect("json", "warn");
  for (const { log } of [text, json]) {
    log.debug("Nothing");
    log.info("Made", { size: "64x64", ms: 1.5, none: undefined });
    log.error("Failed", { why: 'a "b"\n\u001b=', prompt: "", ok: false });
  }
  assert.deepEqual(text.lines, [
    "2026-01-02T03:04:05.678Z INFO Made size=64x64 ms=1.5",
    '2026-01-02T03:04:05.678Z ERROR Failed why="a \\"b\\"\\n\\u001b=" prompt="" ok=false',
  ]);
  assert.deepEqual(json.lines.map((line) => JSON.parse(line)), [{
    time: "2026-01-02T03:04:05.678Z",
    level: "error",
    message: "Failed",
    why: 'a "b"\n\u001b=',
    prompt: "",
    ok: false,
  }]);
});

/** An app with what it logs, as objects. */
function logged(options: ServeOptions = {}) {
  const records: Record<string, unknown>[] = [];
  const log = new Log({ format: "json", level: "debug", write: (_, line) => void records.push(JSON.parse(line)) });
  return Object.assign(serve({ log, ...options }), { records });
}

const id = "4bf92f35-77b3";

Deno.test("a request is one line with its job, once the last byte is sent, and without what the prompt says", async () => {
  using server = logged({ keys: new KeyRing(["one"]) });
  const headers = { "x-request-id": id, authorization: "Bearer one" };
  const path = "/generate?prompt=a+secret&negative_prompt=hidden&seed=7&steps=3&width=72";
  const answer = server.send("GET", path, undefined, { headers });
  (await server.engine.next()).run();
  const response = await answer;
  assert.equal(response.headers.get("x-request-id"), id);
  await moment();
  assert.deepEqual(server.records, []);
  await response.bytes();
  const record: Record<string, unknown> = server.records[0];
  const { time: _, ms, owner, job, queue_ms: queueMs, ...facts } = record;
  assert.ok(Number(ms) > 0 && Number(queueMs) >= 0);
  assert.match(`${owner}`, /^[\w-]{12}$/);
  assert.equal(job, response.headers.get("x-job-id"));
  assert.deepEqual(facts, {
    level: "info",
    message: "Answered",
    method: "GET",
    path: "/generate",
    status: 200,
    request: id,
    model: "tiny",
    size: "72x64",
    pictures: 1,
    steps: 3,
    sampler: "dpmpp_2m",
    seed: 7,
  });
  assert.equal(server.records.length, 1);
});

Deno.test("LOG_PROMPTS has the line tell what prompts say", async () => {
  using server = logged({ logPrompts: true });
  const answer = server.send("POST", "/v1/jobs", { prompt: "a cat", negative_prompt: "dogs" });
  (await server.engine.next()).run();
  await answer;
  assert.deepEqual([server.records[0].prompt, server.records[0].negative_prompt], ["a cat", "dogs"]);
});

Deno.test("what is refused is told by its code, probes are debug, and the server's own failures warnings", async () => {
  using server = logged();
  const told = async (method: string, path: string, body?: unknown) => {
    const answer = server.send(method, path, body);
    if (path.includes("fails")) {
      (await server.engine.next()).fail({ code: "device_lost", message: "The device is gone" });
    }
    await (await answer).body?.cancel();
    const { level, status, code } = server.records.pop()!;
    return [level, status, code];
  };
  assert.deepEqual(await told("GET", "/generate?prompt=x&steps=0"), ["info", 400, "invalid_field"]);
  assert.deepEqual(await told("POST", "/sdapi/v1/txt2img", { steps: "x" }), ["info", 422, "invalid_field"]);
  assert.deepEqual(await told("GET", "/nothing"), ["info", 404, "not_found"]);
  assert.deepEqual(await told("BREW", "/generate"), ["info", 405, "method_not_allowed"]);
  assert.deepEqual(await told("GET", "/health/ready"), ["debug", 200, undefined]);
  assert.deepEqual(await told("GET", "/metrics"), ["debug", 200, undefined]);
  assert.deepEqual(await told("DELETE", "/metrics"), ["info", 405, "method_not_allowed"]);
  assert.deepEqual(await told("GET", "/generate?prompt=fails"), ["warn", 503, "device_lost"]);
  assert.deepEqual(await told("GET", "/v2/models/other/ready"), ["info", 404, "model_not_found"]);
  const error = new EngineError("device_lost", "It fell off");
  for (
    const status of [{ state: "loading" }, { state: "recovering", info, error }, { state: "failed", error }] as const
  ) {
    server.engine.status = status;
    for (const path of ["/health/ready", "/v2/health/ready", "/health"]) {
      for (const method of ["GET", "HEAD"]) {
        assert.deepEqual(await told(method, path), ["debug", 503, undefined], "whoever waits asks often");
      }
    }
  }
  assert.deepEqual(await told("GET", "/v2/models/tiny/ready"), ["debug", 503, undefined]);
  assert.deepEqual(await told("GET", "/generate?prompt=x"), ["warn", 503, "device_lost"]);
  server.engine.status = { state: "ready", info };
  server.queue.drain();
  assert.deepEqual(
    await told("GET", "/v2/health/ready"),
    ["debug", 503, undefined],
    "and whoever sends requests elsewhere",
  );
  const page = await (await server.app.request("/metrics")).text();
  assert.doesNotMatch(page, /code="not_ready"/);
  assert.match(page, /^sd_http_errors_total\{code="device_lost"\} 2$/m);
});

Deno.test("a client that leaves is 499, before its answer and in the middle of it; a job that fails there is told", async () => {
  using server = logged();
  const client = new AbortController();
  const early = server.send("GET", "/generate?prompt=x", undefined, { signal: client.signal });
  const first = await server.engine.next();
  client.abort();
  first.cancelled();
  await early;
  const late = server.send("GET", "/generate?prompt=x");
  const second = await server.engine.next();
  second.rows(0, 16);
  await (await late).body!.cancel();
  second.cancelled();
  const broken = server.send("GET", "/generate?prompt=x");
  const third = await server.engine.next();
  third.rows(0, 16);
  const { body } = await broken;
  third.fail({ code: "out_of_memory", message: "There is no memory left" });
  await assert.rejects(new Response(body).bytes());
  const events = server.send("GET", "/generate?prompt=x&format=sse");
  (await server.engine.next()).fail({ code: "internal", message: "It broke" });
  await (await events).text();
  await moment();
  const answered = server.records.filter(({ message }) => message === "Answered");
  assert.deepEqual(answered.map(({ status, code }) => [status, code]), [
    [499, "client_left"],
    [499, "client_left"],
    [200, "out_of_memory"],
    [200, "internal"],
  ]);
});

Deno.test("HEAD of a job's picture and events is answered and logged once, and keeps nothing longer than its time", async () => {
  let now = Date.now();
  using server = logged({ results: { ttlMs: 60_000, now: () => now } });
  const { links } = await (await server.send("POST", "/v1/jobs", { prompt: "x" })).json();
  const live = server.send("HEAD", links.events); // while it runs, too
  (await server.engine.next()).run();
  await (await live).bytes();
  await moment();
  server.records.length = 0;
  const paths = [`${links.self}/image/0`, `${links.self}/image/0?format=webp`, links.events];
  for (const path of paths) {
    const response = await server.send("HEAD", path);
    assert.deepEqual([response.status, (await response.bytes()).length], [200, 0], path);
  }
  await moment();
  assert.deepEqual(
    server.records.map(({ method, path, status, code }) => [method, path, status, code]),
    paths.map((path) => ["HEAD", path.split("?")[0], 200, undefined]),
  );
  const ask = async () => (await (await server.send("GET", links.self)).json()).links.images.length;
  assert.equal(await ask(), 1);
  now += 61_000;
  assert.equal(await ask(), 0, "its pictures are gone");
  assert.equal((await server.send("GET", links.events)).status, 410);
});

Deno.test("a request id that is none is replaced by one that is", async () => {
  using server = logged();
  for (const wrong of ["a b", "x".repeat(300), "<script>"]) {
    const { headers } = await server.send("GET", "/health/live", undefined, { headers: { "x-request-id": wrong } });
    assert.match(headers.get("x-request-id")!, /^[\da-f-]{36}$/);
    assert.equal(server.records.pop()!.request, headers.get("x-request-id"));
  }
});
