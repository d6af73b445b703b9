import assert from "node:assert/strict";
import { decode } from "fast-png";
import { decodeBase64 } from "@std/encoding";
import { compileCodec } from "../../src/image/codec.ts";
import { readComment } from "../../src/image/comment.ts";
import { decodeJpeg, jpegDecoderUrl } from "../../src/image/jpeg.ts";
import { decodeWebp, webpDecoderUrl } from "../../src/image/webp.ts";
import { parseRequest } from "../../src/engine/request.ts";
import { newsEvents } from "../../src/server/answer/news.ts";
import { formatOf } from "../../src/server/delivery.ts";
import { Job } from "../../src/server/job.ts";
import { info } from "./fake_engine.ts";
import { errorOf, moment, serve } from "./serve.ts";

Deno.test("an Accept header chooses as its words say, and PNG is what everybody gets who takes anything", () => {
  const cases: [accept: string | null, format: string][] = [
    [null, "png"],
    ["*/*", "png"],
    ["image/png", "png"],
    ["text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8", "png"],
    ["image/avif,image/webp,image/png,image/svg+xml,image/*;q=0.8,*/*;q=0.5", "png"],
    ["image/jpeg", "jpeg"],
    ["image/jpeg, image/png", "png"],
    ["image/jpeg, */*;q=0.1", "png"],
    ["image/webp", "webp"],
    ["image/webp, image/jpeg;q=0.5", "webp"],
    ["image/webp;q=0.5, image/jpeg", "jpeg"],
    ["image/webp, */*;q=0.1", "png"],
    ["application/json", "json"],
    ["application/json, text/plain, */*", "json"],
    ["application/json;q=0.5, image/png", "png"],
    ["text/event-stream", "sse"],
    ["application/json, text/event-stream;q=0.9", "json"],
    ["application/x-ndjson", "ndjson"],
    ["multipart/x-mixed-replace", "multipart"],
    ["text/plain", "png"],
    ["application/json;q=0", "png"],
  ];
  for (const [accept, format] of cases) assert.equal(formatOf(accept), format, `${accept}`);
  const browsers = "text/html,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8";
  const withPreviews: [accept: string, format: string][] = [[browsers, "apng"], ["*/*", "png"], ["image/png", "png"]];
  for (const [accept, format] of withPreviews) assert.equal(formatOf(accept, { previews: true }), format, accept);
});

Deno.test("format=json answers everything at once: pictures, how they were made, and times", async () => {
  using server = serve();
  const answer = server.send("POST", "/generate", { prompt: "x", seed: 9 }, {
    headers: { accept: "application/json" },
  });
  (await server.engine.next()).run();
  const response = await answer;
  const { id, images, info, timing } = await response.json();
  assert.equal(id, response.headers.get("x-job-id"));
  assert.deepEqual([info.seeds, info.width, info.height], [[9], 64, 64]);
  assert.match(info.infotexts[0], /^x\nSteps: 8, .*Seed: 9/);
  assert.ok(timing.queue >= 0);
  const png = decode(decodeBase64(images[0]));
  assert.ok(png.data.every((sample) => sample === 9));
});

Deno.test("format=ndjson answers the events, one a line, and an error as the last of them", async () => {
  using server = serve();
  const answer = server.send("GET", "/generate?prompt=x&steps=1&format=ndjson");
  (await server.engine.next()).run();
  const linesOf = async (response: Response) =>
    (await response.text()).trimEnd().split("\n").map((line) => JSON.parse(line));
  const lines = await linesOf(await answer);
  assert.deepEqual(lines.map(({ type }) => type), ["queued", "started", "progress", "image", "done"]);
  const failing = server.send("GET", "/generate?prompt=x&format=ndjson");
  (await server.engine.next()).fail({ code: "device_lost", message: "The device is gone" });
  const { type, error } = (await linesOf(await failing)).at(-1);
  assert.deepEqual([type, error.code, error.message], ["error", "device_lost", "The device is gone"]);
});

Deno.test("a stream of events starts at once, a client that leaves it ends its job, and a full queue is still a 429", async () => {
  using server = serve({ capacity: 1 });
  const headers = { accept: "text/event-stream" };
  const response = await server.send("GET", "/generate?prompt=x", undefined, { headers });
  assert.equal(response.status, 200);
  assert.equal((await server.send("GET", "/generate?prompt=x", undefined, { headers })).status, 429);
  const reader = response.body!.getReader();
  assert.match(new TextDecoder().decode((await reader.read()).value), /event: queued/);
  const job = await server.engine.next();
  await reader.cancel();
  assert.equal(job.signal.aborted, true);
  job.cancelled();
  await moment();
  assert.equal(server.queue.length, 0);
});

Deno.test("a browser that connects again to a stream of events is told what it has missed, and makes no second picture", async () => {
  using server = serve();
  const path = "/generate?prompt=x&steps=1&detach=1";
  const answer = server.send("GET", path, undefined, { headers: { accept: "text/event-stream" } });
  (await server.engine.next()).run();
  const text = await (await answer).text();
  const ids = [...text.matchAll(/^id: (.*)$/gm)].map(([, id]) => id);
  const again = (id: string) =>
    server.send("GET", path, undefined, { headers: { accept: "text/event-stream", "last-event-id": id } });
  assert.equal(await (await again(ids[2])).text(), text.slice(text.indexOf(`id: ${ids[3]}`)));
  assert.equal((await again(ids.at(-1)!)).status, 204);
  const once = server.send("GET", "/generate?prompt=x&steps=1&format=sse");
  (await server.engine.next()).run();
  const [, last] = /id: ([^\n]*)\nevent: done/.exec(await (await once).text())!;
  await moment();
  assert.equal((await again(last)).status, 204);
  assert.equal(server.engine.jobs.length, 2);
});

Deno.test("a stream of events that is silent for a while sends comments, and misses nothing after them", async () => {
  const { request } = parseRequest(new Map([["prompt", "x"]]), info);
  const job = new Job({ id: "a", request, pictures: [], detached: true });
  const events = newsEvents(job, 0, { heartbeatMs: 10 });
  const next = async () => new TextDecoder().decode((await events.next()).value as Uint8Array);
  assert.equal(await next(), ": still here\n\n");
  assert.equal(await next(), ": still here\n\n");
  job.news.push({ type: "queued", position: 3 });
  assert.equal(await next(), 'id: a:0\nevent: queued\ndata: {"id":"a","position":3}\n\n');
  job.finish();
  assert.equal((await events.next()).done, true);
});

Deno.test("format=multipart answers parts of whole PNGs, each closed by the boundary that follows it", async () => {
  using server = serve();
  const answer = server.send("GET", "/generate?prompt=x&format=multipart");
  (await server.engine.next()).run();
  const response = await answer;
  assert.equal(response.headers.get("content-type"), "multipart/x-mixed-replace; boundary=picture");
  const body = await response.bytes();
  const text = new TextDecoder("latin1").decode(body);
  const [head] = /^--picture\r\nContent-Type: image\/png\r\nContent-Length: (\d+)\r\n\r\n/.exec(text)!;
  const length = Number(/Length: (\d+)/.exec(head)![1]);
  assert.equal(decode(body.slice(head.length, head.length + length)).width, 64);
  assert.equal(text.slice(head.length + length), "\r\n--picture--\r\n");
});

const lossyFormats = [
  { format: "jpeg", decode: decodeJpeg, wasm: await compileCodec(jpegDecoderUrl) },
  { format: "webp", decode: decodeWebp, wasm: await compileCodec(webpDecoderUrl) },
];
for (const { format, decode, wasm } of lossyFormats) {
  Deno.test(`format=${format} answers such a file of the quality asked for, with the infotext in its EXIF`, async () => {
    using server = serve();
    const sizes: number[] = [];
    for (const quality of [95, 20]) {
      const path = `/generate?prompt=caf%C3%A9+%F0%9F%90%88&seed=200&format=${format}&quality=${quality}`;
      const answer = server.send("GET", path);
      (await server.engine.next()).run();
      const response = await answer;
      assert.equal(response.headers.get("content-type"), `image/${format}`);
      const file = await response.bytes();
      sizes.push(file.length);
      const { width, pixels } = await decode(file, wasm);
      assert.equal(width, 64);
      assert.ok(pixels.every((sample) => Math.abs(sample - 200) <= 2));
      assert.match(readComment(file)!, /^café 🐈\nSteps: 8, .*Seed: 200/);
    }
    assert.notEqual(sizes[0], sizes[1]);
  });
}

Deno.test("early=1 starts the PNG with its texts, tells of every step in a chunk that decoders pass over, and ends as the plain one", async () => {
  using server = serve();
  const plain = server.send("GET", "/generate?prompt=x&seed=1&steps=3");
  (await server.engine.next()).run();
  const wanted = await (await plain).bytes();
  const answer = server.send("GET", "/generate?prompt=x&seed=1&steps=3&early=1");
  const job = await server.engine.next();
  job.start();
  const reader = (await answer).body!.getReader();
  const head = (await reader.read()).value!;
  assert.deepEqual(head, wanted.slice(0, head.length));
  job.step(1);
  const latin = (bytes?: Uint8Array) => new TextDecoder("latin1").decode(bytes);
  assert.match(latin((await reader.read()).value), /prGS\{"step":1,"steps":3\}/);
  job.step(2);
  job.step(3);
  for (let top = 0; top < 64; top += 16) job.rows(top, 16);
  job.done();
  const rest: Uint8Array[] = [head];
  let chunks = 0;
  for (let piece = await reader.read(); !piece.done; piece = await reader.read()) {
    if (latin(piece.value).includes("prGS")) chunks++;
    else rest.push(piece.value);
  }
  assert.equal(chunks, 2);
  const whole = new Uint8Array(await new Blob(rest as Uint8Array<ArrayBuffer>[]).arrayBuffer());
  assert.deepEqual(whole, wanted);
  const wrong = await errorOf(await server.send("GET", "/generate?prompt=x&early=1&format=json"));
  assert.deepEqual([wrong.status, wrong.param], [400, "early"]);
});

Deno.test("a GET with a seed has an ETag that the request makes, and If-None-Match costs no job", async () => {
  using server = serve({ weights: "w" });
  const get = (query: string, headers = {}) => server.send("GET", `/generate?${query}`, undefined, { headers });
  const answer = get("prompt=x&seed=1");
  (await server.engine.next()).run();
  const response = await answer;
  const etag = response.headers.get("etag")!;
  assert.match(etag, /^"[\w-]{32}"$/);
  assert.equal(response.headers.get("cache-control"), "public, max-age=31536000, immutable");
  assert.equal(response.headers.get("vary"), "accept");
  await response.bytes();
  for (const tag of [etag, `W/${etag}`, `"a", ${etag}`, "*"]) {
    const same = await get("seed=1&prompt=x&priority=3", { "if-none-match": tag });
    assert.deepEqual([same.status, same.headers.get("etag")], [304, etag]);
  }
  assert.equal(server.engine.jobs.length, 1);
  for (const query of ["prompt=x&seed=2", "prompt=y&seed=1", "prompt=x&seed=1&steps=7", "prompt=x&seed=1&early=1"]) {
    const other = get(query, { "if-none-match": etag });
    (await server.engine.next()).run();
    assert.equal((await other).status, 200, query);
    assert.notEqual((await other).headers.get("etag"), etag, query);
    await (await other).bytes();
  }
  for (const query of ["prompt=x", "prompt=x&seed=-1", "prompt=x&seed=1&format=json"]) {
    const fleeting = get(query);
    (await server.engine.next()).run();
    assert.equal((await fleeting).headers.get("etag"), null, query);
    assert.equal((await fleeting).headers.get("cache-control"), "no-store");
    await (await fleeting).bytes();
  }
});

Deno.test("other weights give another ETag", async () => {
  const tags: (string | null)[] = [];
  for (const weights of ["a", "b"]) {
    using server = serve({ weights });
    const answer = server.send("GET", "/generate?prompt=x&seed=1");
    (await server.engine.next()).run();
    tags.push((await answer).headers.get("etag"));
    await (await answer).bytes();
  }
  assert.notEqual(tags[0], tags[1]);
});
