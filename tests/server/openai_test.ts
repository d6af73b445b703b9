import assert from "node:assert/strict";
import { decode } from "fast-png";
import { decodeBase64 } from "@std/encoding";
import { parseRequest } from "../../src/engine/request.ts";
import { PictureWriter } from "../../src/image/write.ts";
import { Job } from "../../src/server/job.ts";
import { FileAddresses } from "../../src/server/openai/files.ts";
import { streamImages } from "../../src/server/openai/stream.ts";
import { translate } from "../../src/server/openai/translate.ts";
import { Wire } from "../../src/server/translate.ts";
import { info } from "./fake_engine.ts";
import { errorOf, serve } from "./serve.ts";

const generations = "/v1/images/generations";

Deno.test("generations answers base64 as OpenAI does, and takes the names of its models for any", async () => {
  using server = serve();
  for (const model of ["dall-e-3", "gpt-image-1", "tiny", null]) {
    const body = {
      prompt: "x",
      model,
      size: "72x64",
      quality: "low",
      user: "me",
      seed: 4,
      negative_prompt: "y",
      junk: 1,
    };
    const answer = server.send("POST", generations, body);
    const job = await server.engine.next();
    const { width, height, steps, seed, negativePrompt } = job.request;
    assert.deepEqual([width, height, steps, seed, negativePrompt], [72, 64, 12, 4, "y"]);
    job.run();
    const response = await answer;
    assert.equal(response.headers.get("x-ignored-fields"), "junk");
    const { created, data, ...rest } = await response.json();
    assert.ok(Math.abs(created - Date.now() / 1000) < 10);
    assert.equal(decode(decodeBase64(data[0].b64_json)).width, 72);
    assert.deepEqual(rest, { output_format: "png", size: "72x64", quality: "low", background: "opaque" });
  }
});

Deno.test("errors name the field as the client does", async () => {
  using server = serve();
  const cases: [body: unknown, status: number, param: string][] = [
    [{}, 400, "prompt"],
    [{ prompt: "x", size: "big" }, 400, "size"],
    [{ prompt: "x", size: "65x64" }, 400, "size"],
    [{ prompt: "x", model: "other" }, 404, "model"],
    [{ prompt: "x", background: "transparent" }, 400, "background"],
    [{ prompt: "x", quality: "best" }, 400, "quality"],
    [{ prompt: "x", output_format: "avif" }, 400, "output_format"],
    [{ prompt: "x", partial_images: 4, stream: true }, 400, "partial_images"],
    [{ prompt: "x", loras: [{ name: "a" }] }, 400, "loras"],
    [{ prompt: "x", stream: "perhaps" }, 400, "stream"],
  ];
  for (const [body, status, param] of cases) {
    const error = await errorOf(await server.send("POST", generations, body));
    assert.deepEqual([error.status, error.param], [status, param], JSON.stringify(body));
    assert.match(error.message, /^Field .* would do$/);
  }
  assert.equal(
    (await errorOf(await server.send("POST", generations, { prompt: "x", model: "other" }))).code,
    "model_not_found",
  );
  assert.equal((await server.send("GET", generations)).status, 405);
});

Deno.test("stream: true answers events, of which the last completes, and an error as an event", async () => {
  using server = serve();
  const body = { prompt: "x", stream: true, partial_images: 2, output_format: "jpeg" };
  const headers = { accept: "application/json" };
  const answer = server.send("POST", generations, body, { headers });
  (await server.engine.next()).run();
  const response = await answer;
  assert.equal(response.headers.get("content-type"), "text/event-stream");
  const [, event, data] = /^event: (.*)\ndata: (.*)\n\n$/.exec(await response.text())!;
  const completed = JSON.parse(data);
  assert.deepEqual([event, completed.type, completed.output_format], [
    "image_generation.completed",
    "image_generation.completed",
    "jpeg",
  ]);
  assert.deepEqual([...decodeBase64(completed.b64_json).slice(0, 2)], [0xff, 0xd8]);
  const failing = server.send("POST", generations, body);
  (await server.engine.next()).fail({ code: "out_of_memory", message: "Full" });
  assert.match(
    await (await failing).text(),
    /^event: error\ndata: {"error":{"message":"Full",.*"code":"out_of_memory"}}\n\n$/,
  );
});

Deno.test("a stream whose job waits says so in comments, which proxies take for life and clients pass over", async () => {
  const { request } = parseRequest(new Map([["prompt", "x"]]), info);
  const job = new Job({ id: "a", request, pictures: [], detached: true });
  const wanted = translate(new Wire(new Map<string, unknown>([["prompt", "x"], ["stream", true]])), "generations");
  using writer = new PictureWriter();
  const events = streamImages(job, wanted, { endpoint: "generations", describe: () => ({}), writer, heartbeatMs: 10 });
  const next = async () => new TextDecoder().decode((await events.next()).value!);
  assert.equal(await next(), ": still here\n\n");
  assert.equal(await next(), ": still here\n\n");
  job.finish(new Error("Over"));
  assert.match(await next(), /^event: error\n/);
});

Deno.test("response_format url gives the file that b64_json gives, its output_compression included", async () => {
  using server = serve();
  const fileOf = async (response_format: string, output_compression: number) => {
    const body = { prompt: "x", seed: 1, output_format: "jpeg", response_format, output_compression };
    const answer = server.send("POST", generations, body);
    (await server.engine.next()).run();
    const [{ url, b64_json }] = (await (await answer).json()).data;
    if (b64_json !== undefined) return decodeBase64(b64_json);
    const { pathname, search } = new URL(url);
    return await (await server.send("GET", pathname + search)).bytes();
  };
  const [small, large] = [await fileOf("url", 5), await fileOf("url", 95)];
  assert.deepEqual(small, await fileOf("b64_json", 5));
  assert.notDeepEqual(small, large);
});

Deno.test("edits and variations take forms, with numbers as text", async () => {
  using server = serve();
  const file = new File([await Deno.readFile(new URL("../oracle/bad/pictures/ok_420.jpg", import.meta.url))], "in.jpg");
  const form = (entries: Record<string, string | File>) => {
    const form = new FormData();
    for (const [name, value] of Object.entries(entries)) form.append(name, value);
    return form;
  };
  for (const name of ["image", "image[]"]) {
    const answer = server.send(
      "POST",
      "/v1/images/edits",
      form({ prompt: "x", [name]: file, n: "1", stream: "false" }),
    );
    const job = await server.engine.next();
    assert.equal(job.request.initImage!.length, 64 * 64 * 3);
    job.run();
    assert.ok((await (await answer).json()).data[0].b64_json);
  }
  const streamed = server.send("POST", "/v1/images/edits", form({ prompt: "x", image: file, stream: "true" }));
  (await server.engine.next()).run();
  assert.match(await (await streamed).text(), /^event: image_edit.completed\n/);
  const varied = server.send("POST", "/v1/images/variations", form({ image: file, size: "64x64" }));
  const job = await server.engine.next();
  assert.equal(job.request.prompt, "");
  job.run();
  await (await varied).json();
  const none = await errorOf(await server.send("POST", "/v1/images/edits", form({ prompt: "x" })));
  assert.deepEqual([none.status, none.param], [400, "image"]);
});

Deno.test("response_format url answers an address that is good without a key, and no other", async () => {
  using server = serve();
  const answer = server.send("POST", generations, { prompt: "x", response_format: "url" });
  (await server.engine.next()).run();
  const [{ url }] = (await (await answer).json()).data;
  const { pathname, search } = new URL(url);
  const file = await server.send("GET", pathname + search);
  assert.equal(file.headers.get("content-type"), "image/png");
  assert.equal(decode(await file.bytes()).width, 64);
  for (const other of [pathname, `${pathname}${search}x`, pathname.replace("-0-", "-1-") + search]) {
    assert.equal((await server.send("GET", other)).status, 404, other);
  }
});

Deno.test("an address in an answer begins where the request came, or where PUBLIC_URL says, whatever a proxy's headers say", async () => {
  const headers = { "x-forwarded-proto": "gopher", "x-forwarded-host": "elsewhere.example", forwarded: "proto=gopher" };
  for (
    const [publicUrl, start] of [
      [undefined, "http://localhost/v1/files/"],
      ["https://pictures.example", "https://pictures.example/v1/files/"],
      ["https://pictures.example/sd", "https://pictures.example/sd/v1/files/"],
    ]
  ) {
    using server = serve({ publicUrl });
    const answer = server.send("POST", generations, { prompt: "x", response_format: "url" }, { headers });
    (await server.engine.next()).run();
    const [{ url }] = (await (await answer).json()).data;
    assert.equal(url.slice(0, start!.length), start);
  }
});

Deno.test("a signed address ends with its time", () => {
  const addresses = new FileAddresses();
  const file = { job: "a-b", index: 0, format: "png", quality: 100 } as const;
  const now = 1e12;
  const { pathname, searchParams } = new URL(addresses.path(file, now), "http://x");
  const query = Object.fromEntries(searchParams), name = pathname.split("/").at(-1)!;
  assert.deepEqual(addresses.read(name, query, now + 599_000), file);
  assert.throws(() => addresses.read(name, query, now + 601_000), { code: "result_expired" });
  assert.throws(() => addresses.read(name, { ...query, expires: "9999999999" }, now), { code: "not_found" });
  assert.throws(() => new FileAddresses().read(name, query, now), { code: "not_found" });
});
