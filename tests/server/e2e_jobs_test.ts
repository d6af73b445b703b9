/** Jobs, streams and caching over HTTP, on the embedded model. */
import assert from "node:assert/strict";
import { decode } from "fast-png";
import { Server, until } from "./programme.ts";

const query = "prompt=a+red+circle+on+a+blue+background";
const server = await Server.start();
Deno.test.afterAll(() => server[Symbol.asyncDispose]());

Deno.test("a job handed in is followed, fetched and given up over HTTP, and its events tell every step", async () => {
  const handIn = async (fields: Record<string, unknown>) => {
    const response = await fetch(`${server.url}/v1/jobs`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ prompt: "a yellow star", ...fields }),
    });
    assert.equal(response.status, 202);
    return await response.json();
  };
  const { links } = await handIn({ steps: 4, seed: 5 });
  const events = await (await fetch(server.url + links.events)).text();
  assert.deepEqual(events.match(/^event: .*$/gm)!.map((line) => line.slice(7)), [
    "queued",
    "started",
    ...Array(4).fill("progress"),
    "image",
    "done",
  ]);
  const kept = await (await fetch(`${server.url}${links.self}/image/0`)).bytes();
  const made = await (await server.get("prompt=a+yellow+star&steps=4&seed=5")).bytes();
  assert.deepEqual(kept, made);

  const [running, waiting] = [await handIn({ steps: 150 }), await handIn({ steps: 2 })];
  assert.equal((await fetch(server.url + running.links.self, { method: "DELETE" })).status, 202);
  assert.equal(decode(await (await fetch(`${server.url}${waiting.links.self}/image/0`)).bytes()).width, 128);
  assert.equal((await (await fetch(server.url + running.links.self)).json()).status, "cancelled");
  await until(async () => await server.queueLength() === 0);
});

for (const [format, step] of [["sse", "event: progress"], ["ndjson", '"progress"'], ["png&early=1", "prGS"]]) {
  Deno.test(`a client that hangs up on format=${format} frees the GPU within a step or two`, async () => {
    const client = new AbortController();
    const response = await server.get(`${query}&steps=150&width=256&height=256&format=${format}`, client);
    const reader = response.body!.getReader(), text = new TextDecoder("latin1");
    const nextStep = async () => {
      const began = performance.now();
      while (!text.decode((await reader.read()).value).includes(step));
      return performance.now() - began;
    };
    await nextStep();
    const stepMs = Math.max(await nextStep(), await nextStep(), await nextStep());
    client.abort();
    reader.read().catch(() => {});
    const freedMs = await until(async () => await server.queueLength() === 0);
    console.log(`a step takes up to ${stepMs.toFixed(0)} ms, freed after ${freedMs.toFixed(0)} ms`);
    assert.ok(freedMs < 1000 + 3 * stepMs, `the job went on for ${freedMs} ms, a step takes ${stepMs} ms`);
    assert.equal(server.errors.includes("failed"), false, server.errors);
  });
}

Deno.test("detach=1 goes on without its client, and the picture is the same", async () => {
  const client = new AbortController();
  const response = await server.get(`${query}&seed=1&steps=6&detach=1&format=sse`, client);
  const id = response.headers.get("x-job-id");
  client.abort();
  await until(async () => (await (await fetch(`${server.url}/v1/jobs/${id}`)).json()).status === "completed");
  const kept = await (await fetch(`${server.url}/v1/jobs/${id}/image/0`)).bytes();
  assert.deepEqual(kept, await (await server.get(`${query}&seed=1&steps=6`)).bytes());
});

Deno.test("the ETag of a picture is the same in another process, and a match costs no GPU", async () => {
  await using other = await Server.start();
  const tags: string[] = [];
  for (const each of [server, other]) {
    const first = await each.get(`${query}&seed=1&steps=2`);
    await first.bytes();
    tags.push(first.headers.get("etag")!);
    const began = performance.now();
    const again = await each.get(`${query}&seed=1&steps=2`, { headers: { "if-none-match": tags[0] } });
    assert.deepEqual([again.status, (await again.bytes()).length], [304, 0]);
    assert.ok(performance.now() - began < 100);
  }
  assert.equal(tags[0], tags[1]);
});

Deno.test("format=json, jpeg, webp and multipart hold the very picture that format=png gives", async () => {
  const get = (format: string) => server.get(`${query}&seed=3&steps=3&format=${format}`);
  const png = await (await get("png")).bytes();
  const { images: [base64] } = await (await get("json")).json();
  assert.equal(base64, png.toBase64());
  const parts = await (await get("multipart")).bytes();
  const head = new TextDecoder("latin1").decode(parts).indexOf("\r\n\r\n") + 4;
  assert.deepEqual(parts.slice(head, head + png.length), png);
  for (const format of ["jpeg", "webp"]) {
    const file = await (await get(`${format}&quality=95`)).bytes();
    using bitmap = closing(await createImageBitmap(new Blob([file])));
    assert.deepEqual([bitmap.width, bitmap.height], [128, 128]);
  }
});

function closing(bitmap: ImageBitmap): ImageBitmap & Disposable {
  return Object.assign(bitmap, { [Symbol.dispose]: () => bitmap.close() });
}
