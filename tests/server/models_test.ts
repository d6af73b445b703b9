import { deepStrictEqual, match, strictEqual } from "node:assert/strict";
import type { ModelEntry } from "../../src/engine/locate.ts";
import { info } from "./fake_engine.ts";
import { serve } from "./serve.ts";

const entry = (name: string, modified: number): ModelEntry => ({ name, path: `/models/${name}`, modified });
const model = (id: string, created: number) => ({ id, object: "model", created, owned_by: "local" });

/** What an app with these models, and "tiny" loaded, answers. */
async function ask(path: string, models: ModelEntry[], init?: RequestInit) {
  using server = serve({ models: () => models });
  const response = await server.app.request(path, init);
  return { status: response.status, headers: response.headers, text: await response.text() };
}

Deno.test("GET /v1/models lists the models as OpenAI's clients expect, the loaded one first", async () => {
  const { status, headers, text } = await ask("/v1/models", [entry("sd15", 5), entry("tiny", 7), entry("zebra", 9)]);
  strictEqual(status, 200);
  match(headers.get("content-type")!, /^application\/json/);
  deepStrictEqual(JSON.parse(text), {
    object: "list",
    data: [model("tiny", 7), model("sd15", 5), model("zebra", 9)],
  });
});

Deno.test("the loaded model is listed where it was loaded by a path, since the server started", async () => {
  const { text } = await ask("/v1/models", [entry("sd15", 5)]);
  const [first, second] = JSON.parse(text).data;
  strictEqual(first.id, info.model.name);
  strictEqual(Math.abs(first.created - Date.now() / 1000) < 10, true);
  deepStrictEqual(second, model("sd15", 5));
});

Deno.test("GET /v1/models/NAME answers one model, or a 404 that names the models", async () => {
  const models = [entry("sd 1.5", 5), entry("tiny", 7)];
  deepStrictEqual(JSON.parse((await ask("/v1/models/sd%201.5", models)).text), model("sd 1.5", 5));
  const { status, text } = await ask("/v1/models/dog", models);
  strictEqual(status, 404);
  deepStrictEqual(JSON.parse(text), {
    error: {
      message: 'There is no model "dog", one of these would do: tiny, sd 1.5',
      type: "invalid_request_error",
      param: null,
      code: "model_not_found",
    },
  });
  const { status: refused, headers } = await ask("/v1/models", models, { method: "POST" });
  deepStrictEqual([refused, headers.get("allow")], [405, "GET, HEAD"]);
  strictEqual((await ask("/v1/models/..%2f..%2fetc", models)).status, 404);
});

Deno.test("without a list of its own the app lists the programme's models", async () => {
  using server = serve();
  const { data } = await (await server.send("GET", "/v1/models")).json();
  deepStrictEqual(data.map(({ id }: { id: string }) => id), ["tiny"]);
});
