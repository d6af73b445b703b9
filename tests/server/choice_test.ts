/** Requests that name a model, and what `/health` says of memory. */
import assert from "node:assert/strict";
import { parseInfotext } from "../../src/png/infotext.ts";
import { decode } from "fast-png";
import { info } from "./fake_engine.ts";
import { serve as serveApp } from "./serve.ts";

/** An app that can load "other" and "another" beside its own model. */
function serve() {
  const models = () => ["other", "another"].map((name) => ({ name, path: `/${name}`, modified: 0 }));
  const whyNoModel = (name: string) => name === "style" ? "style.safetensors is a LoRA" : undefined;
  const server = serveApp({ models, whyNoModel }), { model: { defaults }, limits } = info;
  server.engine.others.set("other", {
    model: { name: "other", defaults: { ...defaults, width: 32, height: 16 }, textWidth: 4 },
    precision: "f16",
    limits,
  });
  return server;
}

Deno.test("a request that names a model gets that model's defaults, and its name in the picture", async () => {
  using server = serve();
  const answer = server.app.request("/generate?prompt=x&model=other");
  const job = await server.engine.next();
  assert.deepEqual([job.request.model, job.request.width, job.request.height], ["other", 32, 16]);
  job.run();
  const png = decode(await (await answer).bytes());
  assert.deepEqual([png.width, png.height], [32, 16]);
  assert.equal(parseInfotext(png.text.parameters).parameters.Model, "other");
});

Deno.test("a name that is a file's and no model's is refused with what the file is, on every surface, and not as one that is not there", async () => {
  using server = serve();
  const send = (path: string, body?: unknown) => server.send(body === undefined ? "GET" : "POST", path, body);
  const a1111 = { override_settings: { sd_model_checkpoint: "style.safetensors" } };
  const answers: [status: number, field: string, response: Response][] = [
    [400, "model", await send("/generate?prompt=x&model=style")],
    [400, "model", await send("/v1/capabilities?model=style")],
    [400, "model", await send("/v1/images/generations", { prompt: "x", model: "style" })],
    [422, "sd_model_checkpoint", await send("/sdapi/v1/txt2img", a1111)],
    [400, "model", await send("/models/style", { inputs: "x" })],
    [400, "model", await send("/v2/models/style/infer", { inputs: [] })],
  ];
  const listed = await send("/v1/models/style"), { error } = await listed.json();
  assert.deepEqual(
    [listed.status, error.code, error.message],
    [404, "model_not_found", 'There is no model "style": style.safetensors is a LoRA'],
  );
  for (const [status, field, response] of answers) {
    assert.equal(response.status, status, response.url);
    const message = `Field ${field} is "style": style.safetensors is a LoRA`;
    assert.ok(JSON.stringify(await response.json()).includes(JSON.stringify(message).slice(1, -1)), field);
  }
});

Deno.test("a model that there is not is refused with the names that are most like it first", async () => {
  using server = serve();
  const response = await server.app.request("/generate?prompt=x&model=anotherr");
  assert.equal(response.status, 404);
  const { error } = await response.json();
  assert.deepEqual([error.code, error.param], ["model_not_found", "model"]);
  assert.equal(error.message, 'Field model is "anotherr", another or other or tiny would do');
  assert.equal(server.engine.jobs.length, 0);
});

Deno.test("keep_alive is a time in Ollama's words, and anything else is refused", async () => {
  using server = serve();
  const times = [["5m", 300_000], ["30", 30_000], ["1h30m", 5_400_000], ["0", 0], ["-1", Infinity], ["250ms", 250]];
  for (const [text, ms] of times) {
    const answer = server.app.request(`/generate?prompt=x&keep_alive=${text}`);
    const job = await server.engine.next();
    assert.equal(job.request.keepAlive, ms, `${text}`);
    job.run();
    await (await answer).bytes();
  }
  for (const text of ["soon", "5 m", "m", "1e9", "--1"]) {
    const { status } = await server.app.request(`/generate?prompt=x&keep_alive=${text}`);
    assert.equal(status, 400, text);
  }
});

const memory = {
  budget: 2 ** 31,
  used: 6,
  peak: 9,
  bytes: { weights: 1, slots: 2, named: 3, staging: 0 },
  residents: [{ kind: "unet" as const, name: "tiny unet", bytes: 1 }],
  evictions: 4,
};

Deno.test("/health says whether weights are on the device, and what its memory is used for", async () => {
  using server = serve();
  server.engine.memory = memory;
  const loaded = await (await server.app.request("/health")).json();
  assert.deepEqual([loaded.state, loaded.memory.bytes.weights], ["loaded", 1]);
  server.engine.memory = { ...memory, used: 0, residents: [] };
  assert.equal((await (await server.app.request("/health")).json()).state, "idle");
});
