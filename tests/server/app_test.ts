import assert from "node:assert/strict";
import { decode } from "fast-png";
import { encodeBase64 } from "@std/encoding";
import { parseInfotext } from "../../src/png/infotext.ts";
import { info } from "./fake_engine.ts";
import { errorOf, serve as serveApp, type ServeOptions } from "./serve.ts";

/** An app with an engine to drive, and ways to ask it for a picture. */
function serve(options?: ServeOptions) {
  const server = serveApp(options);
  const get = (query: string, init?: RequestInit) => server.send("GET", `/generate?${query}`, undefined, init);
  const post = (body: BodyInit, headers?: HeadersInit) =>
    Promise.resolve(server.app.request("/generate", { method: "POST", body, headers }));
  const json = (body: unknown) => server.send("POST", "/generate", body);
  return { ...server, get, post, json };
}

const folder = new URL("../oracle/bad/pictures/", import.meta.url);

Deno.test("GET /generate answers one PNG with the request in its text and the facts in its headers", async () => {
  using server = serve();
  const answer = server.get("prompt=a+red+circle&seed=7&width=72&height=40&unknown=1&negative_prompt=dog", {
    headers: { "x-request-id": "mine" },
  });
  (await server.engine.next()).run();
  const response = await answer;
  assert.equal(response.status, 200);
  const headers = Object.fromEntries(response.headers);
  assert.equal(headers["content-type"], "image/png");
  assert.equal(headers["x-seed"], "7");
  assert.equal(headers["x-request-id"], "mine");
  assert.equal(headers["x-job-id"], server.engine.jobs[0].id);
  assert.equal(headers["x-truncated-tokens"], "0");
  assert.equal(headers["x-ignored-fields"], "unknown");
  assert.equal(headers["x-adapter"], "llvmpipe (software)");
  assert.match(headers["x-queue-ms"], /^\d+$/);
  assert.match(
    headers["server-timing"],
    /^queue;dur=[\d.]+, text;dur=2\.0, denoise;dur=8\.0, denoise_gpu;dur=7\.5, decode;dur=3\.0$/,
  );

  const png = decode(await response.bytes(), { checkCrc: true });
  assert.deepEqual([png.width, png.height], [72, 40]);
  assert.ok(png.data.every((sample) => sample === 7));
  const { prompt, negativePrompt, parameters } = parseInfotext(png.text.parameters);
  assert.deepEqual([prompt, negativePrompt], ["a red circle", "dog"]);
  assert.equal(parameters.Seed, "7");
  assert.equal(parameters.Size, "72x40");
  assert.equal(parameters.Model, info.model.name);
});

Deno.test("the same request gives the same bytes, whichever way it comes", async () => {
  using server = serve();
  const form = new FormData();
  form.set("prompt", "a cat");
  form.set("seed", "3");
  const ways = [
    () => server.get("prompt=a%20cat&seed=3"),
    () => server.json({ prompt: "a cat", seed: 3 }),
    () => server.post(form),
    () => server.post(new URLSearchParams({ prompt: "a cat", seed: "3" })),
  ];
  const pictures: string[] = [];
  for (const send of ways) {
    const answer = send();
    (await server.engine.next()).run();
    pictures.push(encodeBase64(await (await answer).bytes()));
  }
  assert.equal(new Set(pictures).size, 1);
});

Deno.test("the status waits for the first rows, and the rows do not wait for the last", async () => {
  using server = serve();
  let answered = false;
  const answer = server.get("prompt=x").then((response) => (answered = true, response));
  const job = await server.engine.next();
  job.start();
  job.step(1);
  await new Promise((resolve) => setTimeout(resolve, 20));
  assert.equal(answered, false);
  job.rows(0, 16);
  const reader = (await answer).body!.getReader();
  assert.ok((await reader.read()).value!.length > 100);
  job.rows(16, 48);
  job.done();
  await reader.read();
  await reader.read();
  assert.equal((await reader.read()).done, true);
});

Deno.test("jobs run one at a time, in the order in which they came", async () => {
  using server = serve();
  const answers = [1, 2, 3].map((seed) => server.get(`prompt=x&seed=${seed}`));
  for (const seed of [1, 2, 3]) {
    const job = await server.engine.next();
    assert.equal(job.request.seed, seed);
    assert.equal(server.engine.jobs.length, seed);
    job.run();
    await (await answers[seed - 1]).bytes();
  }
});

Deno.test("a job ends for the queue when the engine is done, though its client has read nothing", async () => {
  using server = serve();
  const first = server.get("prompt=x");
  const second = server.get("prompt=y");
  (await server.engine.next()).run();
  const unread = await first;
  (await server.engine.next()).run();
  await (await second).bytes();
  await unread.body!.cancel();
  assert.equal(server.queue.length, 0);
});

for (
  const [code, status] of [
    ...[["invalid_request", 400], ["internal", 500], ["device_lost", 503], ["device_hung", 503]] as const,
    ...[["worker_crashed", 503], ["out_of_memory", 503], ["engine_failed", 503]] as const,
  ]
) {
  Deno.test(`a job that fails with ${code} before its first rows is answered with ${status}`, async () => {
    using server = serve();
    const answer = server.get("prompt=x");
    const job = await server.engine.next();
    job.start();
    job.fail({ code, message: "Cannot go on: it is Tuesday" });
    const response = await answer;
    assert.equal(response.headers.has("retry-after"), status === 503);
    // What ended the device or the Worker twice is not to be sent again by a client on its own.
    const isFatal = code.startsWith("device") || code === "worker_crashed";
    assert.equal(response.headers.get("x-should-retry"), isFatal ? "false" : null);
    assert.ok(response.headers.get("x-request-id"));
    assert.deepEqual(await errorOf(response), {
      status,
      message: "Cannot go on: it is Tuesday",
      type: status < 500 ? "invalid_request_error" : "server_error",
      param: null,
      code,
    });
    assert.equal(server.queue.length, 0);
  });
}

Deno.test("a job that fails after its first rows breaks its stream off", async () => {
  using server = serve();
  const answer = server.get("prompt=x");
  const job = await server.engine.next();
  job.rows(0, 16);
  const response = await answer;
  assert.equal(response.status, 200);
  job.fail({ code: "device_lost", message: "The device is gone" });
  await assert.rejects(response.bytes(), /The device is gone/);
  assert.equal(server.queue.length, 0);
});

Deno.test("a client that leaves before the first rows cancels its job, and the next one waits until it is given up", async () => {
  using server = serve();
  const client = new AbortController();
  const answer = server.get("prompt=x", { signal: client.signal });
  const next = server.get("prompt=y");
  const job = await server.engine.next();
  client.abort();
  assert.ok(job.signal.aborted);
  assert.equal(server.engine.jobs.length, 1);
  job.cancelled();
  assert.equal((await answer).status, 499);
  (await server.engine.next()).run();
  assert.equal((await next).status, 200);
  assert.deepEqual(server.logged, []);
});

Deno.test("a client that leaves while the picture streams cancels its job", async () => {
  using server = serve();
  const answer = server.get("prompt=x");
  const job = await server.engine.next();
  job.rows(0, 16);
  await (await answer).body!.cancel();
  assert.ok(job.signal.aborted);
  job.cancelled();
  await server.queue.drain();
  assert.deepEqual(server.logged, []);
});

Deno.test("a client that leaves while it waits loses its place and runs nothing", async () => {
  using server = serve();
  const first = server.get("prompt=x");
  const job = await server.engine.next();
  const client = new AbortController();
  const waiting = server.get("prompt=y", { signal: client.signal });
  await new Promise((resolve) => setTimeout(resolve));
  assert.equal(server.queue.length, 2);
  client.abort();
  await waiting;
  assert.equal(server.queue.length, 1);
  job.run();
  await (await first).bytes();
  assert.equal(server.engine.jobs.length, 1);
});

Deno.test("a full queue answers 429 and says when to come back", async () => {
  using server = serve({ capacity: 2 });
  const answers = [server.get("prompt=x"), server.get("prompt=y")];
  await server.engine.next();
  const refused = await server.get("prompt=z");
  assert.match(refused.headers.get("retry-after")!, /^\d+$/);
  const { status, code, message } = await errorOf(refused);
  assert.deepEqual([status, code], [429, "queue_full"]);
  assert.match(message, /^The queue holds 2 jobs and takes no more, \d+ s from now would do$/);
  server.engine.jobs[0].run();
  await (await answers[0]).bytes();
  (await server.engine.next()).run();
  await (await answers[1]).bytes();
});

Deno.test("draining finishes what was accepted and answers 503 to the rest", async () => {
  using server = serve();
  const answer = server.get("prompt=x");
  const job = await server.engine.next();
  let drained = false;
  const drain = server.queue.drain().then(() => drained = true);
  assert.equal((await errorOf(await server.get("prompt=y"))).code, "draining");
  assert.equal((await server.app.request("/health/ready")).status, 503);
  assert.equal((await server.app.request("/health/live")).status, 200);
  assert.equal(drained, false);
  job.run();
  assert.equal((await (await answer).bytes())[0], 0x89);
  await drain;
});

Deno.test("/health/ready tells the adapter, the model and the queue, and 503 while there is nothing to serve with", async () => {
  using server = serve();
  const ready = await server.app.request("/health/ready");
  assert.equal(ready.status, 200);
  assert.deepEqual(await ready.json(), { status: "ready", state: "idle", ...info, queue: { length: 0, capacity: 8 } });
  server.engine.status = { state: "loading" };
  const loading = await server.app.request("/health/ready");
  assert.deepEqual([loading.status, (await loading.json()).status], [503, "loading"]);
  const early = await server.get("prompt=x");
  assert.deepEqual([early.status, early.headers.get("retry-after")], [503, "5"]);
  assert.equal((await server.app.request("/health")).status, 503);
});

Deno.test("what is not there is 404, what is not allowed 405 with what is, and HEAD makes no picture", async () => {
  using server = serve();
  assert.equal((await errorOf(await server.app.request("/nothing"))).status, 404);
  for (const method of ["PUT", "DELETE", "PATCH", "HEAD"]) {
    const response = await server.app.request("/generate?prompt=x", { method });
    assert.deepEqual([response.status, response.headers.get("allow")], [405, "GET, POST"], method);
  }
  const health = await server.app.request("/health/live", { method: "POST" });
  assert.deepEqual([health.status, health.headers.get("allow")], [405, "GET, HEAD"]);
  assert.equal(server.engine.jobs.length, 0);
});

Deno.test("init_image is read from a form, from base64 and from a data URL, and resized", async () => {
  using server = serve();
  const file = await Deno.readFile(new URL("ok_420.jpg", folder));
  const form = new FormData();
  form.set("prompt", "x");
  form.set("init_image", new File([file], "in.jpg"));
  const base64 = encodeBase64(file);
  const ways = [
    () => server.post(form),
    () => server.json({ prompt: "x", init_image: base64 }),
    () => server.json({ prompt: "x", init_image: `data:image/jpeg;base64,${base64}` }),
  ];
  const pictures: Uint8Array[] = [];
  for (const send of ways) {
    const answer = send();
    const job = await server.engine.next();
    pictures.push(job.request.initImage!);
    job.run();
    await (await answer).bytes();
  }
  assert.equal(pictures[0].length, 64 * 64 * 3);
  assert.deepEqual(pictures[1], pictures[0]);
  assert.deepEqual(pictures[2], pictures[0]);
});

Deno.test("every picture that does not decode is a 4xx that names init_image", async () => {
  using server = serve();
  const { files }: { files: { file: string; expect: string }[] } = JSON.parse(
    await Deno.readTextFile(new URL("decoded.json", folder)),
  );
  for (const { file } of files.filter(({ expect }) => expect === "reject")) {
    const form = new FormData();
    form.set("prompt", "x");
    form.set("init_image", new File([await Deno.readFile(new URL(file, folder))], file));
    const { status, param } = await errorOf(await server.post(form));
    assert.ok([400, 413, 415].includes(status), `${file}: ${status}`);
    assert.equal(param, "init_image", file);
  }
  assert.equal(server.queue.length, 0);
});

const refusals: [body: string, type: string, status: number, message: RegExp][] = [
  ["{", "application/json", 400, /^The body is not JSON \(.+\), \{"prompt": "…"\} would do$/],
  ["[1]", "application/json", 400, /^The body is JSON but no object, /],
  ["\xff", "application/json", 400, /./],
  ["x", "text/plain", 415, /^The body is of type "text\/plain", application\/json, /],
  ["x", "multipart/form-data", 400, /names no boundary/],
  ["x", "multipart/form-data; boundary=b", 400, /does not end with its boundary --b--/],
  ["--b\r\n\r\n\r\n--b--", "multipart/form-data; boundary=b", 400, /./],
];
for (const [body, type, status, message] of refusals) {
  Deno.test(`POST /generate refuses ${JSON.stringify(body)} as ${type} with ${status}`, async () => {
    using server = serve();
    const error = await errorOf(await server.post(body, { "content-type": type }));
    assert.equal(error.status, status);
    assert.match(error.message, message);
  });
}

Deno.test("a body over the limit is 413, whether its length is announced or not", async () => {
  using server = serve();
  const headers = { "content-type": "application/json" };
  assert.equal((await errorOf(await server.post(new Uint8Array((16 << 20) + 1), headers))).status, 413);
  let sent = 0;
  const endless = new ReadableStream({
    pull(controller) {
      sent += 1 << 20;
      controller.enqueue(new Uint8Array(1 << 20));
    },
  });
  assert.equal((await errorOf(await server.post(endless, headers))).status, 413);
  assert.ok(sent < 20 << 20);
});

Deno.test("a field given twice is refused, also once in the query and once in the body", async () => {
  using server = serve();
  const twice = await errorOf(await server.get("prompt=x&steps=3&steps=4"));
  assert.deepEqual([twice.status, twice.param], [400, "steps"]);
  assert.match(twice.message, /^Field steps is \["3","4"\], a whole number from 1 to 150 would do$/);
  const both = await server.app.request("/generate?prompt=x", {
    method: "POST",
    body: new URLSearchParams({ prompt: "y" }),
  });
  assert.equal((await errorOf(both)).param, "prompt");
});

Deno.test("what does not go together, or with the model, is a 400 that names a field", async () => {
  using server = serve();
  const pair = await errorOf(await server.get("prompt=x&sampler=ddim&scheduler=karras"));
  assert.deepEqual([pair.status, pair.code, pair.param], [400, "invalid_field", "scheduler"]);
  const answer = server.get("prompt=x&steps=100");
  (await server.engine.next()).fail({ code: "invalid_request", message: "Cannot take 100 steps", field: "steps" });
  const steps = await errorOf(await answer);
  assert.deepEqual([steps.status, steps.param], [400, "steps"]);
});

Deno.test("unknown names of samplers and models are 404, and names made up by clients cannot break a header", async () => {
  using server = serve();
  assert.deepEqual(
    await errorOf(await server.get("prompt=x&model=../../etc")).then(({ status, param }) => [status, param]),
    [
      404,
      "model",
    ],
  );
  assert.equal((await errorOf(await server.get("prompt=x&sampler=bogus"))).status, 404);
  const answer = server.json({ prompt: "x", "a\r\nb: c": 1, "猫": 2, "\ud800": 3 });
  (await server.engine.next()).run();
  assert.equal((await answer).headers.get("x-ignored-fields"), "a%0D%0Ab%3A%20c, %E7%8C%AB, %EF%BF%BD");
  await (await answer).bytes();
});
