import assert from "node:assert/strict";
import { KeyRing } from "../../src/server/keys.ts";
import { isPage, pageFiles, pagePolicy } from "../../src/server/page/routes.ts";
import { files, read } from "../files.ts";
import { errorOf, serve } from "./serve.ts";

const folder = "src/server/page/";

Deno.test("/ is the page, with a policy of its own that lets in nothing from elsewhere", async () => {
  using server = serve();
  const response = await server.send("GET", "/");
  assert.equal(response.status, 200);
  assert.equal(response.headers.get("content-type"), "text/html; charset=utf-8");
  assert.equal(response.headers.get("content-security-policy"), pagePolicy);
  assert.equal(response.headers.get("x-content-type-options"), "nosniff");
  assert.equal(response.headers.get("x-frame-options"), "DENY");
  assert.doesNotMatch(pagePolicy, /unsafe|\*|https?:/);
  assert.equal(await response.text(), read(`${folder}index.html`));
});

Deno.test("every file of the page is served as what it is, and there is none that is not", async () => {
  using server = serve();
  const types = { html: "text/html", css: "text/css", js: "text/javascript", svg: "image/svg+xml" };
  for (const [path, name] of Object.entries(pageFiles)) {
    const response = await server.send("GET", path);
    assert.equal(response.status, 200, path);
    const [type] = response.headers.get("content-type")!.split(";");
    assert.equal(type, types[name.split(".").at(-1) as keyof typeof types], path);
    await response.body?.cancel();
  }
  const there = [...files(folder)].map((path) => path.slice(folder.length)).filter((name) => !name.endsWith(".ts"));
  assert.deepEqual(Object.values(pageFiles).toSorted(), there.toSorted());
});

Deno.test("what the page's files refer to is there, on this server, and no script or style is in the HTML", () => {
  for (const [path, name] of Object.entries(pageFiles)) {
    const text = read(folder + name);
    const outside = text.replaceAll("http://www.w3.org/2000/svg", "");
    assert.doesNotMatch(outside, /(https?:)?\/\/[\w-]+\.\w|@import|url\(/, name);
    const imported = Array.from(
      text.matchAll(/^(?:import|export) .*?"(.+)";$|^\} from "(.+)";$/gm),
      (m) => m[1] ?? m[2],
    );
    const linked = name === "index.html" ? Array.from(text.matchAll(/(?:src|href)="([^"]+)"/g), (m) => m[1]) : [];
    for (const target of [...imported, ...linked]) {
      const { pathname } = new URL(target, `http://here${path}`);
      assert.ok(isPage(pathname) || pathname === "/docs", `${name} refers to ${target}`);
    }
  }
  assert.doesNotMatch(read(`${folder}index.html`), /<script(?![^>]* src=)|<style| style=| on\w+=/);
});

Deno.test("every field of the form has a label, and every control that the scripts look for is in the page", () => {
  const html = read(`${folder}index.html`);
  const ids = Array.from(html.matchAll(/ id="([^"]+)"/g), ([, id]) => id);
  assert.equal(new Set(ids).size, ids.length);
  const labelled = new Set(Array.from(html.matchAll(/<label for="([^"]+)"/g), ([, id]) => id));
  const fields = Array.from(html.matchAll(/<(?:input|select|textarea)\b[^>]*? id="([^"]+)"/g), ([, id]) => id);
  assert.ok(fields.length > 12);
  for (const id of fields) assert.ok(labelled.has(id), id);
  for (const name of Object.values(pageFiles).filter((name) => name.endsWith(".js"))) {
    for (const [, id] of read(folder + name).matchAll(/querySelector\(\s*"#([\w-]+)"/g)) {
      assert.ok(ids.includes(id), `${name} looks for #${id}`);
    }
  }
});

Deno.test("browsers ask whether the page's files are still the same, and are told so without being sent them", async () => {
  using server = serve();
  for (const path of Object.keys(pageFiles)) {
    const { headers } = await server.send("GET", path);
    assert.equal(headers.get("cache-control"), "no-cache");
    const again = await server.send("GET", path, undefined, { headers: { "if-none-match": headers.get("etag")! } });
    assert.deepEqual([again.status, await again.text()], [304, ""], path);
    const other = await server.send("GET", path, undefined, { headers: { "if-none-match": '"other"' } });
    assert.equal(other.status, 200);
  }
});

Deno.test("the page needs no key, what it asks for does, and it takes nothing but GET", async () => {
  using server = serve({ keys: new KeyRing(["k"]) });
  for (const path of Object.keys(pageFiles)) assert.equal((await server.send("GET", path)).status, 200, path);
  for (const path of ["/v1/capabilities", "/page", "/page/", "/page/other.js", "/page/routes.ts"]) {
    assert.equal((await server.send("GET", path)).status, 401, path);
  }
  const { status, code } = await errorOf(await server.send("POST", "/", { prompt: "x" }));
  assert.deepEqual([status, code], [405, "method_not_allowed"]);
  assert.equal((await server.send("HEAD", "/")).status, 200);
});

Deno.test("a picture asked for as the page asks comes as lines, with previews before it", async () => {
  using server = serve();
  const form = new FormData();
  for (
    const [name, value] of Object.entries({ prompt: "x", seed: "-1", steps: "4", format: "ndjson", previews: "4" })
  ) {
    form.set(name, value);
  }
  const answer = server.send("POST", "/generate", form);
  const job = await server.engine.next();
  assert.equal(job.request.previews, 4);
  job.start();
  job.step(1);
  job.preview(1);
  for (let step = 2; step <= 4; step++) job.step(step);
  job.rows(0, job.request.height);
  job.done();
  const lines = (await (await answer).text()).trim().split("\n").map((line) => JSON.parse(line));
  const told = lines.map(({ type }) => type);
  assert.deepEqual(told, [
    "queued",
    "started",
    "progress",
    "preview",
    "progress",
    "progress",
    "progress",
    "image",
    "done",
  ]);
  assert.equal(lines[told.indexOf("image")].seed, job.request.seed);
});
