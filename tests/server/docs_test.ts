import assert from "node:assert/strict";
import { fieldsOf, fileFields } from "../../src/engine/request.ts";
import { deliveryFields } from "../../src/server/delivery.ts";
import { KeyRing } from "../../src/server/keys.ts";
import { info } from "./fake_engine.ts";
import { serve } from "./serve.ts";

async function documentOf(server: ReturnType<typeof serve>) {
  return await (await server.send("GET", "/openapi.json")).json();
}

Deno.test("/openapi.json describes every field that a request has, with its bounds and its default", async () => {
  using server = serve();
  const { openapi, paths, components } = await documentOf(server);
  assert.equal(openapi, "3.1.0");
  const names = [...Object.keys(fieldsOf(info)), ...Object.keys(deliveryFields), ...fileFields].toSorted();
  assert.deepEqual(Object.keys(components.schemas.Request.properties).toSorted(), [...names, "hires"].toSorted());
  assert.deepEqual(paths["/generate"].get.parameters.map(({ name }: { name: string }) => name).toSorted(), names);
  const { steps } = components.schemas.Request.properties;
  assert.deepEqual([steps.minimum, steps.maximum, steps.default], [1, 150, 8]);
});

Deno.test("the document names the two ways to send a key where one is asked for", async () => {
  using open = serve();
  assert.equal((await documentOf(open)).security, undefined);
  using server = serve({ keys: new KeyRing(["k"]) });
  const init = { headers: { authorization: "Bearer k" } };
  const { security, components } = await (await server.send("GET", "/openapi.json", undefined, init)).json();
  assert.deepEqual(security, [{ bearer: [] }, { basic: [] }]);
  assert.equal(components.securitySchemes.basic.scheme, "basic");
});

Deno.test("every reference in the document leads somewhere, and every path of it is there", async () => {
  using server = serve();
  const document = await documentOf(server);
  const references = [...JSON.stringify(document).matchAll(/"\$ref":"#\/components\/schemas\/(\w+)"/g)];
  assert.ok(references.length > 20);
  for (const [, name] of references) assert.ok(document.components.schemas[name], name);
  for (const path of Object.keys(document.paths)) {
    const response = await server.send("PATCH", path.replaceAll(/\{\w+\}/g, "tiny"));
    assert.ok([405, 404].includes(response.status), path);
    if (response.status === 404) assert.notEqual((await response.json()).error?.code, "not_found", path);
  }
});

Deno.test("/docs is a page of its own that shows every path, and needs nothing from elsewhere", async () => {
  using server = serve();
  const response = await server.send("GET", "/docs");
  assert.match(response.headers.get("content-type")!, /^text\/html/);
  const html = await response.text();
  for (const path of Object.keys((await documentOf(server)).paths)) assert.ok(html.includes(path), path);
  assert.doesNotMatch(html, /<script|https?:\/\//);
  assert.match(html, /<body>\n<main>\n[^]*<\/main>\n<\/body>/, "a reader of screens finds where it begins");
});

Deno.test("/v1/capabilities tells limits, names and fields of the model in use, and of no other", async () => {
  using server = serve();
  const { model, limits, samplers, formats, fields } = await (await server.send("GET", "/v1/capabilities")).json();
  assert.deepEqual([model.name, limits], ["tiny", info.limits]);
  assert.ok(
    samplers.some(({ name, label }: { name: string; label: string }) => name === "euler_a" && label === "Euler a"),
  );
  assert.ok(formats.some(({ name }: { name: string }) => name === "ndjson"));
  assert.equal(fields.steps.default, 8);
  assert.equal((await server.send("GET", "/v1/capabilities?model=none")).status, 404);
});
