/** Several pictures of one request, and views of them on the way, in every kind of answer. */
import assert from "node:assert/strict";
import { decode, decodeApng } from "fast-png";
import { decodeBase64 } from "@std/encoding";
import { errorOf, moment, serve } from "./serve.ts";

/** The value of every sample of a picture in base64. */
function levelOf(b64: string): number {
  const { data } = decode(decodeBase64(b64));
  assert.ok(data.every((sample) => sample === data[0]));
  return data[0];
}

Deno.test("several pictures come in every format that holds them, each with its seed", async () => {
  using server = serve();
  const ask = async (format: string) => {
    const answer = server.send("GET", `/generate?prompt=x&seed=5&steps=1&n=3&format=${format}`);
    (await server.engine.next()).run();
    return await answer;
  };
  const { images, info } = await (await ask("json")).json();
  assert.deepEqual([images.map(levelOf), info.seeds], [[5, 6, 7], [5, 6, 7]]);
  const lines = (await (await ask("ndjson")).text()).trimEnd().split("\n").map((line) => JSON.parse(line));
  const made = lines.filter(({ type }) => type === "image");
  assert.deepEqual(made.map(({ index, seed, b64 }) => [index, seed, levelOf(b64)]), [[0, 5, 5], [1, 6, 6], [2, 7, 7]]);
  assert.match(made[2].infotext, /Seed: 7/);
  assert.equal((await (await ask("sse")).text()).match(/^event: image$/gm)!.length, 3);
  assert.equal((await (await ask("multipart")).text()).match(/Content-Type: image\/png/g)!.length, 3);
});

Deno.test("several pictures in a format of one are refused with those that would do, and jobs have each by its number", async () => {
  using server = serve();
  for (const format of ["png", "jpeg", "webp", "apng"]) {
    const refused = await errorOf(await server.send("GET", `/generate?prompt=x&n=2&format=${format}`));
    assert.deepEqual([refused.status, refused.param], [400, "n"]);
    assert.match(refused.message, /json or ndjson or sse or multipart would do$/);
  }
  const { links } = await (await server.send("POST", "/v1/jobs", { prompt: "x", n: 2, seed: 8 })).json();
  (await server.engine.next()).run();
  assert.equal(links.images.length, 2);
  const second = await (await server.send("GET", links.images[1])).bytes();
  assert.equal(decode(second).data[0], 9);
});

Deno.test("OpenAI's n and A1111's batches are several pictures", async () => {
  using server = serve();
  const generated = server.send("POST", "/v1/images/generations", { prompt: "x", n: 2, seed: 1 });
  (await server.engine.next()).run();
  const { data } = await (await generated).json();
  assert.deepEqual(data.map(({ b64_json }: { b64_json: string }) => levelOf(b64_json)), [1, 2]);
  const body = { prompt: "x", batch_size: 2, n_iter: 2, seed: 3, width: 64, height: 64, steps: 1 };
  const drawn = server.send("POST", "/sdapi/v1/txt2img", body);
  (await server.engine.next()).run();
  const { images, info } = await (await drawn).json();
  assert.deepEqual([images.map(levelOf), JSON.parse(info).all_seeds], [[3, 4, 5, 6], [3, 4, 5, 6]]);
});

Deno.test("previews come as events, parts, frames and partial images, before the picture", async () => {
  using server = serve();
  const ask = async (send: () => Promise<Response>) => {
    const answer = send();
    const job = await server.engine.next();
    assert.equal(job.request.previews, 2);
    job.start();
    for (const step of [1, 2]) {
      job.step(step);
      job.preview(step);
    }
    job.step(3);
    for (let top = 0; top < 64; top += 16) job.rows(top, 16);
    job.done();
    return await answer;
  };
  const path = "/generate?prompt=x&seed=5&steps=3&previews=2";
  const get = (format: string) => ask(() => server.send("GET", `${path}&format=${format}`));
  const lines = (await (await get("ndjson")).text()).trimEnd().split("\n").map((line) => JSON.parse(line));
  const views = lines.filter(({ type }) => type === "preview");
  assert.deepEqual(views.map(({ index, step, b64 }) => [index, step, levelOf(b64)]), [[0, 1, 1], [0, 2, 2]]);
  assert.equal((await (await get("multipart")).text()).match(/Content-Type: image\/png/g)!.length, 3);

  const browser = { headers: { accept: "text/html,image/avif,image/webp,image/apng,*/*;q=0.8" } };
  const moving = await ask(() => server.send("GET", path, undefined, browser));
  assert.equal(moving.headers.get("content-type"), "image/apng");
  const { frames, width } = decodeApng(await moving.bytes(), { checkCrc: true });
  assert.deepEqual([width, frames.map(({ data }) => data[0])], [64, [1, 2, 5]]);
  const plain = await ask(() => server.send("GET", path));
  assert.equal(plain.headers.get("content-type"), "image/png");
  await plain.bytes();

  const body = { prompt: "x", steps: 3, stream: true, partial_images: 2 };
  const streamed = await (await ask(() => server.send("POST", "/v1/images/generations", body))).text();
  assert.deepEqual(streamed.match(/^event: .*$/gm), [
    "event: image_generation.partial_image",
    "event: image_generation.partial_image",
    "event: image_generation.completed",
  ]);
  assert.match(streamed, /"partial_image_index":1/);
});

Deno.test("an APNG whose previews do not all come has its frames all the same", async () => {
  using server = serve();
  const answer = server.send("GET", "/generate?prompt=x&seed=5&steps=3&previews=3&format=apng");
  const job = await server.engine.next();
  job.start();
  job.preview(1);
  job.rows(0, 64);
  job.done();
  const { numberOfFrames, frames } = decodeApng(await (await answer).bytes(), { checkCrc: true });
  assert.deepEqual([numberOfFrames, frames.map(({ data }) => data[0])], [4, [1, 5, 5, 5]]);
});

Deno.test("A1111's progress shows the newest preview, unless it is to be skipped", async () => {
  using server = serve();
  const answer = server.send("POST", "/sdapi/v1/txt2img", { prompt: "x", steps: 40, width: 64, height: 64 });
  const job = await server.engine.next();
  assert.equal(job.request.previews, 3);
  job.start();
  job.step(11);
  job.preview(11);
  await moment(20);
  const progress = async (query: string) => await (await server.send("GET", `/sdapi/v1/progress?${query}`)).json();
  assert.equal(levelOf((await progress("")).current_image), 11);
  assert.equal((await progress("skip_current_image=true")).current_image, null);
  job.run();
  await (await answer).json();
});

Deno.test("a mask goes with its picture by every surface, in each one's sense", async () => {
  using server = serve();
  const folder = new URL("../oracle/bad/pictures/", import.meta.url);
  const file = await Deno.readFile(new URL("ok_420.jpg", folder)), picture = file.toBase64();
  const form = new FormData();
  form.set("prompt", "x");
  for (const name of ["image", "mask"]) form.set(name, new File([file], `${name}.jpg`));
  const sends: [invert: boolean, send: () => Promise<Response>][] = [
    [false, () => server.send("POST", "/generate", { prompt: "x", init_image: picture, mask: picture })],
    [
      false,
      () => server.send("POST", "/sdapi/v1/img2img", { init_images: [picture], mask: picture, width: 64, height: 64 }),
    ],
    [true, () => server.send("POST", "/v1/images/edits", form)],
  ];
  const levels: number[][] = [];
  for (const [invert, send] of sends) {
    const answer = send();
    const job = await server.engine.next();
    assert.equal(job.request.inpaint!.invert, invert);
    levels.push([...job.request.mask!]);
    job.end();
    await (await answer).body?.cancel();
  }
  assert.equal(levels[0].length, 64 * 64);
});
