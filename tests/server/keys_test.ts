import assert from "node:assert/strict";
import { encodeBase64 } from "@std/encoding";
import { KeyRing } from "../../src/server/keys.ts";
import { RateLimit } from "../../src/server/rate.ts";
import { errorOf, serve } from "./serve.ts";

const bearer = (key: string) => ({ headers: { authorization: `Bearer ${key}` } });
const basic = (key: string) => ({ headers: { authorization: `Basic ${encodeBase64(`user:${key}`)}` } });

Deno.test("with keys everything but health and signed addresses asks for one, as a bearer token or a password", async () => {
  using server = serve({ keys: new KeyRing(["one", "two:with:colons"]) });
  for (
    const path of ["/generate?prompt=x", "/v1/models", "/sdapi/v1/options", "/v2", "/openapi.json", "/metrics", "/x"]
  ) {
    for (const init of [{}, bearer("three"), bearer("two"), basic("on"), { headers: { authorization: "Digest x" } }]) {
      const response = await server.send("GET", path, undefined, init);
      assert.equal(response.status, 401, `${path} ${JSON.stringify(init)}`);
      assert.match(response.headers.get("www-authenticate")!, /^Basic realm=".+", Bearer$/);
      await response.body?.cancel();
    }
  }
  assert.equal((await errorOf(await server.send("GET", "/v1/models"))).code, "invalid_api_key");
  for (const init of [bearer("one"), bearer("two:with:colons"), basic("one"), basic("two:with:colons")]) {
    assert.equal((await server.send("GET", "/v1/models", undefined, init)).status, 200);
  }
  for (const path of ["/health", "/health/live", "/health/ready", "/v2/health/live"]) {
    assert.equal((await server.send("GET", path)).status, 200, path);
  }
  assert.equal((await server.send("GET", "/v1/files/x-0.png")).status, 404);
  assert.equal(server.engine.jobs.length, 0);
});

Deno.test("a job is its owner's: another key neither sees nor ends it, nor shares its idempotency key", async () => {
  using server = serve({ keys: new KeyRing(["one", "two"]) });
  const handIn = async (key: string) => {
    const headers = { ...bearer(key).headers, "idempotency-key": "same" };
    return await (await server.send("POST", "/v1/jobs", { prompt: "x" }, { headers })).json();
  };
  const [mine, other] = [await handIn("one"), await handIn("two")];
  assert.notEqual(mine.id, other.id);
  const job = await server.engine.next();
  for (const [method, path] of [["GET", ""], ["DELETE", ""], ["GET", "/events"], ["GET", "/image/0"]]) {
    const response = await server.send(method, `/v1/jobs/${mine.id}${path}`, undefined, bearer("two"));
    assert.equal((await errorOf(response)).code, "job_not_found");
  }
  await server.send("POST", `/sdapi/v1/interrupt?id=${mine.id}`, undefined, bearer("two"));
  assert.equal(job.signal.aborted, false);
  assert.equal((await server.send("DELETE", `/v1/jobs/${mine.id}`, undefined, bearer("one"))).status, 202);
  assert.equal(job.signal.aborted, true);
  job.cancelled();
  (await server.engine.next()).run();
});

Deno.test("with keys a picture is for its owner's cache only, and its address for whoever has it", async () => {
  using server = serve({ keys: new KeyRing(["one"]) });
  const answer = server.send("GET", "/generate?prompt=x&seed=1", undefined, bearer("one"));
  (await server.engine.next()).run();
  assert.match((await answer).headers.get("cache-control")!, /^private, /);
  await (await answer).bytes();
  const made = server.send("POST", "/v1/images/generations", { prompt: "x", response_format: "url" }, bearer("one"));
  (await server.engine.next()).run();
  const { pathname, search } = new URL((await (await made).json()).data[0].url);
  const file = await server.send("GET", pathname + search);
  assert.equal(file.status, 200);
  await file.body?.cancel();
});

Deno.test("a key hands in so many jobs a minute, and is told when the next will do", async () => {
  let now = 0;
  const rate = new RateLimit({ perMinute: 2, now: () => now });
  using server = serve({ keys: new KeyRing(["one", "two"]), rate });
  const handIn = (key: string) => server.send("POST", "/v1/jobs", { prompt: "x" }, bearer(key));
  assert.deepEqual([(await handIn("one")).status, (await handIn("one")).status], [202, 202]);
  now = 10_000;
  const refused = await handIn("one");
  assert.equal(refused.headers.get("retry-after"), "20");
  assert.equal((await errorOf(refused)).code, "rate_limited");
  assert.equal((await handIn("two")).status, 202);
  now = 30_000;
  assert.equal((await handIn("one")).status, 202);
});

Deno.test("pages of other origins read nothing unless they are named", async () => {
  const ask = async (origins: string[], origin: string) => {
    using server = serve({ origins, keys: new KeyRing(["one"]) });
    const preflight = await server.send("OPTIONS", "/generate", undefined, {
      headers: { origin, "access-control-request-method": "POST", "access-control-request-headers": "authorization" },
    });
    const simple = await server.send("GET", "/health/live", undefined, { headers: { origin } });
    return [preflight, simple].map(({ headers }) => headers.get("access-control-allow-origin"));
  };
  assert.deepEqual(await ask([], "https://a.example"), [null, null]);
  assert.deepEqual(await ask(["https://a.example"], "https://a.example"), ["https://a.example", "https://a.example"]);
  assert.deepEqual(await ask(["https://a.example"], "https://b.example"), [null, null]);
  assert.deepEqual(await ask(["*"], "https://b.example"), ["*", "*"]);
});

Deno.test("every answer keeps browsers from guessing, and all but pictures from frames", async () => {
  using server = serve();
  const answer = server.send("GET", "/generate?prompt=x");
  (await server.engine.next()).run();
  const picture = await answer;
  await picture.bytes();
  const others = [
    await server.send("GET", "/v1/models"),
    await server.send("GET", "/none"),
    await server.send("GET", "/docs"),
  ];
  for (const { headers } of [picture, ...others]) assert.equal(headers.get("x-content-type-options"), "nosniff");
  assert.equal(picture.headers.get("content-security-policy"), null);
  for (const { headers } of others) assert.match(headers.get("content-security-policy")!, /default-src 'none'/);
  assert.match(others[2].headers.get("content-security-policy")!, /style-src 'sha256-/);
});
