import assert from "node:assert/strict";
import { RemotePictures } from "../../src/server/remote.ts";
import { elsewhere, fetched, fetching, picture, png, raw } from "./elsewhere.ts";
import { errorOf, moment, serve } from "./serve.ts";

Deno.test("a picture is fetched from the address that was checked, by the name that was given", async () => {
  await using there = elsewhere(picture);
  const remote = new RemotePictures(there.options);
  let held = 0;
  assert.deepEqual(await fetched(remote, there.at("a.png?b"), { ...fetching, grow: (by) => void (held += by) }), png);
  assert.equal(held, png.length);
  assert.deepEqual(there.seen, [there.at("a.png?b")]);
  assert.deepEqual(there.resolved, ["pictures.test"]);
});

Deno.test("addresses of this machine and its network are refused however they are written, and nothing is connected to", async () => {
  await using there = elsewhere(() => new Response(png));
  const { port } = there, remote = new RemotePictures();
  const hosts = ["127.0.0.1", "localhost", "127.1", "0x7f.1", "2130706433", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0"];
  const others = ["169.254.169.254", "10.0.0.1", "[fd00:ec2::254]", "100.100.100.200", "192.168.0.1", "[fe80::1]"];
  for (const host of [...hosts, ...others]) {
    for (const address of [`http://${host}:${port}/`, `http://${host}/`, `https://${host}/`]) {
      await assert.rejects(fetched(remote, address), /is not public, or of another port/, address);
    }
  }
  await assert.rejects(fetched(remote, "http://1.1.1.1:8080/"), /another port/);
  assert.deepEqual(there.seen, []);
});

Deno.test("a name that stands for a private address beside a public one is refused, and one that changes its mind is not asked again", async () => {
  await using there = elsewhere(() => new Response(png));
  const remote = new RemotePictures(there.options);
  await assert.rejects(fetched(remote, `http://inside.test:${there.port}/`), /is not public/);
  assert.deepEqual([there.seen, there.resolved], [[], ["inside.test"]]);
});

Deno.test("every redirect is checked anew, and there are five at most", async () => {
  const to: Record<string, string> = {
    inside: "http://10.0.0.1/",
    scheme: "file:///etc/passwd",
    loop: "/loop",
    once: "/a",
  };
  await using there = elsewhere((request) => {
    const location = to[new URL(request.url).pathname.slice(1)];
    return location ? new Response(null, { status: 302, headers: { location } }) : new Response(png);
  });
  const remote = new RemotePictures(there.options);
  assert.deepEqual(await fetched(remote, there.at("once")), png);
  for (const [path, what] of [["inside", "is not public"], ["scheme", "is not of http or https"]]) {
    // What is behind an address is not told: it may hold what only its server is to know.
    const told = `Field init_image: the address "${there.at(path)}" redirects to one that ${what}`;
    await assert.rejects(
      fetched(remote, there.at(path)),
      ({ message }: Error) => message.startsWith(told) && !/10\.0|passwd/.test(message),
    );
  }
  const before = there.seen.length;
  await assert.rejects(fetched(remote, there.at("loop")), /redirects more than 5 times/);
  assert.equal(there.seen.length - before, 6);
});

Deno.test("passwords in addresses, other statuses, other types, large files and slow ones are refused in a sentence", async () => {
  const kept: (() => void)[] = [];
  await using there = elsewhere((request) => {
    switch (new URL(request.url).pathname) {
      case "/none":
        return new Response("secret", { status: 404 });
      case "/page":
        return new Response("<html>", { headers: { "content-type": "text/html" } });
      case "/large":
        return new Response(new Uint8Array(1 << 20));
      case "/endless":
        return new Response(
          new ReadableStream({ pull: (controller) => controller.enqueue(new Uint8Array(1 << 16)) }),
        );
      case "/bomb": { // a thousand times larger than what is sent
        const zeros = new Blob([new Uint8Array(4 << 20)]).stream().pipeThrough(new CompressionStream("gzip"));
        return new Response(zeros, { headers: { "content-encoding": "gzip" } });
      }
      default: {
        const { promise, resolve } = Promise.withResolvers<Response>();
        kept.push(() => resolve(new Response()));
        return promise;
      }
    }
  });
  const remote = new RemotePictures({ ...there.options, deadlineMs: 300, maxBytes: 1 << 19 });
  const cases: [address: string, message: RegExp][] = [
    [there.at("a").replace("//", "//me:pass@"), /^Field init_image: .* holds a password/],
    [there.at("none"), /answers with status 404/],
    [there.at("page"), /is of type "text\/html", a picture would do$/],
    [there.at("large"), /has more than \d+ MiB/],
    [there.at("endless"), /has more than \d+ MiB/],
    [there.at("slow"), /takes more than 0\.3 s/],
    [`http://pictures.test:${there.port}/${"a".repeat(3000)}`, /is none/],
    ["http://", /is none/],
  ];
  for (const [address, message] of cases) await assert.rejects(fetched(remote, address), { message }, address);
  // What comes compressed, which is not asked for, is not inflated here.
  assert.ok((await fetched(remote, there.at("bomb")) as Uint8Array).length < 10_000);
  kept.forEach((end) => end());
});

Deno.test("a client that leaves ends the fetching", async () => {
  const { promise, resolve } = Promise.withResolvers<Response>();
  await using there = elsewhere(() => promise);
  const remote = new RemotePictures(there.options), left = new AbortController();
  const outcome = fetched(remote, there.at("slow"), { ...fetching, signal: left.signal });
  setTimeout(() => left.abort(new DOMException("left", "AbortError")), 50);
  await assert.rejects(outcome, { name: "AbortError" });
  resolve(new Response());
});

Deno.test("surfaces take addresses where they are allowed, name the field as their clients do, and refuse them elsewhere", async () => {
  await using there = elsewhere(picture);
  const asked: [path: string, field: string, body: (address: string) => unknown][] = [
    ["/generate", "init_image", (init_image) => ({ prompt: "x", init_image })],
    ["/sdapi/v1/img2img", "init_images", (address) => ({ init_images: [address], width: 64, height: 64 })],
    ["/hf", "inputs", (inputs) => ({ inputs, parameters: { prompt: "x" } })],
    ["/v2/models/tiny/infer", "init_image", (address) => ({
      inputs: [["prompt", "x"], ["init_image", address]].map(([name, text]) => (
        { name, datatype: "BYTES", shape: [1], data: [text] }
      )),
    })],
  ];
  {
    using server = serve({ remote: new RemotePictures(there.options) });
    for (const [path, field, body] of asked) {
      const answer = server.send("POST", path, body(there.at("a.png")));
      const job = await server.engine.next();
      assert.equal(job.request.initImage?.length, 64 * 64 * 3, path);
      job.run();
      const response = await answer;
      assert.equal(response.status, 200, path);
      await response.bytes();
      const refused = await server.send("POST", path, body("http://10.0.0.1/"));
      assert.ok(refused.status === 400 || refused.status === 422, path);
      assert.ok((await refused.text()).includes(`Field ${field}: the address`), path);
    }
    const cached = server.send("GET", `/generate?prompt=x&seed=1&init_image=${encodeURIComponent(there.at("a.png"))}`);
    (await server.engine.next()).run();
    assert.equal((await cached).headers.get("cache-control"), "no-store");
    await (await cached).bytes();
    assert.equal(server.uploads.heldBytes, 0);
  }
  using server = serve();
  const { status, message } = await errorOf(
    await server.send("POST", "/generate", { prompt: "x", init_image: there.at("a") }),
  );
  assert.equal(status, 400);
  assert.match(message, /is the address .*, the picture itself as base64, a data URL or an uploaded file would do$/);
});

Deno.test("an answer that breaks off is refused as the client's address, not as a fault of this server", async () => {
  const broken = [
    ["content-length: 100\r\n\r\nabc", "breaks off"],
    ["transfer-encoding: chunked\r\n\r\n5\r\nabc", "breaks off"],
    ["content-type: ima", "does not answer"],
    ["connection: upgrade\r\nupgrade: other\r\n\r\n", "does not answer", "101 Switching Protocols"],
  ];
  for (const [rest, what, status = "200 OK"] of broken) {
    await using there = raw(`HTTP/1.1 ${status}\r\n${rest}`);
    using server = serve({ remote: new RemotePictures(there.options) });
    const init_image = `http://pictures.test:${there.port}/a.png`;
    const { message, param, ...error } = await errorOf(
      await server.send("POST", "/generate", { prompt: "x", init_image }),
    );
    assert.deepEqual([error.status, param], [400, "init_image"]);
    assert.equal(message, `Field init_image: the address "${init_image}" ${what}, that of a public picture would do`);
    assert.equal(server.uploads.heldBytes, 0);
  }
});

Deno.test("an Idempotency-Key stands for the address, whatever is there by now: nothing is fetched for a job that is known", async () => {
  let count = 0;
  // The same picture in files that differ: what follows the end of a PNG is nobody's.
  await using there = elsewhere(() => new Response(new Blob([png, new Uint8Array(++count)])));
  const bodies: [path: string, body: (address: string) => unknown][] = [
    ["/generate", (init_image) => ({ prompt: "x", init_image })],
    ["/sdapi/v1/img2img", (address) => ({ init_images: [address], width: 64, height: 64 })],
    ["/hf", (inputs) => ({ inputs, parameters: { prompt: "x" } })],
    ["/v1/images/edits", (image) => ({ prompt: "x", image })],
    ["/v2/models/tiny/infer", (address) => ({
      inputs: [["prompt", "x"], ["init_image", address]].map(([name, text]) => (
        { name, datatype: "BYTES", shape: [1], data: [text] }
      )),
    })],
  ];
  for (const [path, body] of bodies) {
    using server = serve({ remote: new RemotePictures(there.options) });
    const ask = (name: string) =>
      server.send("POST", path, body(there.at(name)), { headers: { "idempotency-key": "k" } });
    const first = ask("a.png");
    (await server.engine.next()).run();
    const again = await ask("a.png");
    assert.equal(again.status, 200, path);
    assert.deepEqual(await again.bytes(), await (await first).bytes());
    const other = await ask("b.png");
    assert.equal(other.status, 422);
    assert.match(await other.text(), /The Idempotency-Key was used for another request/);
    assert.deepEqual([server.engine.jobs.length, there.seen.splice(0), server.uploads.heldBytes], [1, [
      there.at("a.png"),
    ], 0]);
  }
});

Deno.test("of two requests with one key at the same moment one fetches its picture, and both are its job", async () => {
  const held: (() => void)[] = [];
  await using there = elsewhere(() => new Promise((resolve) => held.push(() => resolve(picture()))));
  using server = serve({ remote: new RemotePictures(there.options) });
  const body = { prompt: "x", init_image: there.at("a.png") }, headers = { "idempotency-key": "k" };
  const answers = ["/generate", "/generate"].map((path) => server.send("POST", path, body, { headers }));
  const other = server.send("POST", "/generate", { ...body, seed: 1 }, { headers });
  while (held.length === 0) await moment();
  await moment(20);
  held.forEach((answer) => answer());
  (await server.engine.next()).run();
  const [first, second] = await Promise.all(answers);
  assert.deepEqual([first.status, second.status], [200, 200]);
  assert.equal(first.headers.get("x-job-id"), second.headers.get("x-job-id"));
  assert.deepEqual(await first.bytes(), await second.bytes());
  assert.equal((await errorOf(await other)).code, "idempotency_mismatch");
  assert.deepEqual([there.seen.length, server.engine.jobs.length, server.uploads.heldBytes], [1, 1, 0]);
});

Deno.test("where the first of two requests with one key fails, or its client leaves, the second fetches for itself", async () => {
  const held: ((response: Response) => void)[] = [];
  await using there = elsewhere(() => new Promise((resolve) => held.push(resolve)));
  using server = serve({ remote: new RemotePictures(there.options) });
  const left = new AbortController(), body = { prompt: "x", init_image: there.at("a.png") };
  const ask = (init: RequestInit = {}) =>
    server.send("POST", "/generate", body, { headers: { "idempotency-key": "k" }, ...init });
  const fetches = async (count: number) => {
    while (held.length < count) await moment();
  };
  const leaving = ask({ signal: left.signal }), failing = ask(), last = ask();
  await fetches(1);
  left.abort(new DOMException("left", "AbortError"));
  await fetches(2);
  held[1](new Response(null, { status: 404 }));
  assert.equal((await failing).status, 400);
  await fetches(3);
  held[2](picture());
  (await server.engine.next()).run();
  assert.equal((await last).status, 200);
  await (await last).bytes();
  assert.equal((await leaving).status, 499);
  held[0](picture());
  assert.deepEqual([server.engine.jobs.length, server.uploads.heldBytes], [1, 0]);
});

Deno.test("a browser that connects again to a stream of events has nothing fetched again", async () => {
  await using there = elsewhere(() => there.seen.length > 1 ? new Response(null, { status: 404 }) : picture());
  using server = serve({ remote: new RemotePictures(there.options) });
  const path = `/generate?prompt=x&detach=1&format=sse&init_image=${encodeURIComponent(there.at("a.png"))}`;
  const answer = server.send("GET", path);
  (await server.engine.next()).run();
  const text = await (await answer).text();
  const ids = [...text.matchAll(/^id: (.*)$/gm)].map(([, id]) => id);
  const again = await server.send("GET", path, undefined, { headers: { "last-event-id": ids[0] } });
  assert.equal(await again.text(), text.slice(text.indexOf(`id: ${ids[1]}`)));
  assert.deepEqual([there.seen.length, server.engine.jobs.length, server.uploads.heldBytes], [1, 1, 0]);
});
