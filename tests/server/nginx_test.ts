/** What a real nginx makes of the answers, by the configuration in `deploy`; passed over where there is no nginx. */
import assert from "node:assert/strict";
import { KeyRing } from "../../src/server/keys.ts";
import { moment, serve, type ServeOptions } from "./serve.ts";

const configuration = await Deno.readTextFile(new URL("../../deploy/nginx.conf", import.meta.url));

/** Whether nginx can be run here. */
async function hasNginx(): Promise<boolean> {
  const found = await new Deno.Command("nginx", { args: ["-v"], stderr: "null" }).output().catch(() => undefined);
  if (!found?.success) console.log("there is no nginx here, which apt-get install nginx would change");
  return found?.success ?? false;
}

/** A port that was free a moment ago. */
function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}

/** nginx before an app whose engine makes every picture at once. */
async function cached(options: ServeOptions = {}) {
  const server = serve(options), { engine } = server;
  const behind = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, server.app.fetch);
  (async () => {
    while (true) {
      const job = await engine.next();
      await moment(30); // long enough for others to come in meanwhile
      job.run();
    }
  })();
  const folder = await Deno.makeTempDir(), port = freePort();
  const replacements: [string, string][] = [
    ["listen 80;", `listen 127.0.0.1:${port};`],
    ["server 127.0.0.1:8000;", `server 127.0.0.1:${behind.addr.port};`],
    ["/var/cache/nginx/pictures", `${folder}/pictures`],
    ["worker_processes auto;", "master_process off;"],
    ["access_log off;", `access_log off; client_body_temp_path ${folder}/bodies; proxy_temp_path ${folder}/proxied;`],
  ];
  const text = replacements.reduce((text, [from, to]) => {
    assert.ok(text.includes(from), `the configuration has no ${from}`);
    return text.replace(from, to);
  }, configuration);
  await Deno.writeTextFile(`${folder}/nginx.conf`, text);
  const globals = `daemon off; pid ${folder}/pid; error_log ${folder}/errors;`;
  const nginx = new Deno.Command("nginx", {
    args: ["-p", folder, "-e", `${folder}/errors`, "-c", `${folder}/nginx.conf`, "-g", globals],
    stderr: "null",
  }).spawn();
  const address = `http://127.0.0.1:${port}`;
  for (let tries = 0; !(await fetch(`${address}/health/live`).catch(() => undefined))?.body?.cancel(); tries++) {
    if (tries === 100) assert.fail(await Deno.readTextFile(`${folder}/errors`));
    await moment(20);
  }
  const get = async (path: string, headers: Record<string, string> = {}) => {
    const response = await fetch(address + path, { headers });
    const bytes = await response.bytes(), cache = response.headers.get("x-cache");
    return { status: response.status, cache, etag: response.headers.get("etag") ?? "", bytes };
  };
  return {
    address,
    get,
    made: () => engine.jobs.length,
    async [Symbol.asyncDispose]() {
      nginx.kill("SIGTERM");
      await nginx.status;
      await behind.shutdown();
      server[Symbol.dispose]();
      await Deno.remove(folder, { recursive: true });
    },
  };
}

const picture = "/generate?prompt=x&seed=";

Deno.test("nginx makes a picture once, whoever asks for it and how many at once, and tells by its tag that it is known", async () => {
  if (!await hasNginx()) return;
  await using front = await cached();
  const first = await front.get(`${picture}7`), second = await front.get(`${picture}7`);
  assert.deepEqual([first.status, first.cache, second.cache], [200, "MISS", "HIT"]);
  assert.deepEqual(second.bytes, first.bytes);
  assert.equal(front.made(), 1);
  const known = await front.get(`${picture}7`, { "if-none-match": first.etag });
  assert.deepEqual([known.status, known.bytes.length], [304, 0]);
  const together = await Promise.all(Array.from({ length: 8 }, () => front.get(`${picture}8`)));
  assert.ok(together.every(({ status, etag }) => status === 200 && etag === together[0].etag));
  assert.equal(front.made(), 2);
});

Deno.test("nginx keeps pictures of other seeds and formats apart, and none whose seed is chosen, none that is a stream", async () => {
  if (!await hasNginx()) return;
  await using front = await cached();
  const etags = new Set<string>();
  for (const seed of [1, 2]) {
    for (const accept of ["image/png", "image/jpeg", "image/webp"]) {
      for (const cache of ["MISS", "HIT"]) {
        const answer = await front.get(`${picture}${seed}`, { accept });
        assert.equal(answer.cache, cache, `${seed} ${accept}`);
        etags.add(answer.etag);
      }
    }
  }
  assert.deepEqual([etags.size, front.made()], [6, 6]);
  for (const path of ["/generate?prompt=x", `${picture}-1`, `${picture}1&format=sse`, `${picture}1&format=json`]) {
    const caches = [await front.get(path), await front.get(path)].map(({ cache }) => cache);
    assert.deepEqual(caches, ["BYPASS", "BYPASS"], path);
  }
  assert.equal(front.made(), 14);
  // Two that wait for one address get their own pictures, and neither waits for the other's stream.
  const [one, other] = await Promise.all([front.get("/generate?prompt=x"), front.get("/generate?prompt=x")]);
  assert.notDeepEqual(one.bytes, other.bytes);
});

Deno.test("nginx keeps nothing that is private, since a key was asked for, nor what is refused", async () => {
  if (!await hasNginx()) return;
  await using front = await cached({ keys: new KeyRing(["secret"]) });
  const headers = { authorization: "Bearer secret" };
  const answers = [await front.get(`${picture}7`, headers), await front.get(`${picture}7`, headers)];
  assert.deepEqual(answers.map(({ status, cache }) => [status, cache]), [[200, "MISS"], [200, "MISS"]]);
  const refused = await front.get(`${picture}7`);
  assert.deepEqual([refused.status, refused.cache], [401, "MISS"]);
  assert.equal(front.made(), 2);
});
