import assert from "node:assert/strict";
import { decode } from "fast-png";
import { decodeBase64, encodeBase64 } from "@std/encoding";
import { serve } from "./serve.ts";

const file = await Deno.readFile(new URL("../oracle/bad/pictures/ok_420.jpg", import.meta.url));

Deno.test("Hugging Face's text-to-image answers the picture's bytes", async () => {
  using server = serve();
  for (const path of ["/hf", "/models/tiny"]) {
    const parameters = {
      num_inference_steps: 3,
      guidance_scale: 2,
      seed: 4,
      scheduler: "EulerDiscreteScheduler",
      width: 72,
    };
    const answer = server.send("POST", path, { inputs: "a cat", parameters: { ...parameters, junk: 1 } }, {
      headers: { accept: "image/png" },
    });
    const job = await server.engine.next();
    const { prompt, steps, guidanceScale, sampler, seed } = job.request;
    assert.deepEqual([prompt, steps, guidanceScale, sampler, seed], ["a cat", 3, 2, "euler", 4]);
    job.run();
    const response = await answer;
    assert.equal(response.headers.get("x-ignored-fields"), "parameters.junk");
    assert.equal(decode(await response.bytes()).width, 72);
  }
});

Deno.test("Hugging Face's image-to-image takes base64 with a prompt, or the picture alone", async () => {
  using server = serve();
  const parameters = { prompt: "a dog", strength: 0.5, target_size: { width: 64, height: 72 } };
  const answer = server.send("POST", "/hf", { inputs: encodeBase64(file), parameters });
  const job = await server.engine.next();
  const { prompt, strength, height, initImage } = job.request;
  assert.deepEqual([prompt, strength, height, initImage!.length], ["a dog", 0.5, 72, 64 * 72 * 3]);
  job.run();
  await (await answer).bytes();
  for (const headers of [{ "content-type": "image/jpeg" }, undefined]) {
    const raw = Promise.resolve(server.app.request("/hf", { method: "POST", body: file, headers }));
    const bare = await server.engine.next();
    assert.deepEqual([bare.request.prompt, bare.request.initImage!.length], ["", 64 * 64 * 3]);
    bare.run();
    assert.equal((await raw).status, 200);
    await (await raw).bytes();
  }
});

Deno.test("Hugging Face's errors are one text, with a time where there is one", async () => {
  using server = serve();
  const wrong = await server.send("POST", "/hf", { inputs: "x", parameters: { num_inference_steps: 0 } });
  assert.equal(wrong.status, 400);
  assert.deepEqual(await wrong.json(), {
    error: "Field parameters.num_inference_steps is 0, a whole number from 1 to 150 would do",
  });
  assert.equal((await server.send("POST", "/models/other/model", { inputs: "x" })).status, 404);
  server.engine.status = { state: "loading" };
  const loading = await server.send("POST", "/hf", { inputs: "x" });
  assert.equal(loading.status, 503);
  assert.equal((await loading.json()).estimated_time, 5);
});

const input = (name: string, datatype: string, value: unknown) => ({ name, datatype, shape: [1], data: [value] });

Deno.test("KServe's protocol in JSON: inputs of one value, the picture as base64", async () => {
  using server = serve();
  const inputs = [
    input("prompt", "BYTES", "a cat"),
    input("steps", "INT32", 2),
    input("cfg_scale", "FP32", Math.fround(2.1)),
    input("init_image", "BYTES", encodeBase64(file)),
    input("other", "INT32", 1),
  ];
  // Without a type, as Triton's client sends it.
  const body = new TextEncoder().encode(JSON.stringify({ id: "7", inputs }));
  const answer = Promise.resolve(server.app.request("/v2/models/tiny/infer", { method: "POST", body }));
  const job = await server.engine.next();
  assert.deepEqual([job.request.prompt, job.request.steps, job.request.guidanceScale], ["a cat", 2, 2.1]);
  job.run();
  const response = await answer;
  assert.equal(response.headers.get("x-ignored-fields"), "other");
  const { model_name, id, outputs: [image] } = await response.json();
  assert.deepEqual([model_name, id, image.name, image.datatype, image.shape], ["tiny", "7", "image", "BYTES", [1]]);
  assert.equal(decode(decodeBase64(image.data[0])).width, 64);
});

Deno.test("KServe's binary form: tensors behind the JSON, both ways", async () => {
  using server = serve();
  const prompt = new TextEncoder().encode("a cat");
  const tail = new Uint8Array(4 + prompt.length + 4);
  new DataView(tail.buffer).setUint32(0, prompt.length, true);
  tail.set(prompt, 4);
  new DataView(tail.buffer).setInt32(4 + prompt.length, 3, true);
  const json = JSON.stringify({
    inputs: [
      { name: "prompt", datatype: "BYTES", shape: [1], parameters: { binary_data_size: 4 + prompt.length } },
      { name: "steps", datatype: "INT32", shape: [1], parameters: { binary_data_size: 4 } },
    ],
    outputs: [{ name: "image", parameters: { binary_data: true } }],
  });
  const head = new TextEncoder().encode(json);
  const post = (length: number) =>
    Promise.resolve(server.app.request("/v2/models/tiny/infer", {
      method: "POST",
      body: new Blob([head, tail]),
      headers: { "inference-header-content-length": `${length}`, "content-type": "application/octet-stream" },
    }));
  const answer = post(head.length);
  const job = await server.engine.next();
  assert.deepEqual([job.request.prompt, job.request.steps], ["a cat", 3]);
  job.run();
  const response = await answer;
  const bytes = await response.bytes(), length = Number(response.headers.get("inference-header-content-length"));
  const { outputs: [image] } = JSON.parse(new TextDecoder().decode(bytes.slice(0, length)));
  assert.equal(image.parameters.binary_data_size, bytes.length - length);
  assert.equal(decode(bytes.slice(length + 4)).width, 64);
  for (const wrong of [0, 3, head.length - 1, 1e9]) {
    const refused = await post(wrong);
    assert.equal(refused.status, 400);
    assert.match((await refused.json()).error, /^The body .* would do$/);
  }
});

Deno.test("KServe's questions about health and models are answered, and its errors are one text", async () => {
  using server = serve();
  for (const path of ["/v2/health/live", "/v2/health/ready", "/v2/models/tiny/ready"]) {
    assert.equal((await server.send("GET", path)).status, 200, path);
  }
  assert.deepEqual((await (await server.send("GET", "/v2")).json()).extensions, ["binary_tensor_data"]);
  const { inputs, outputs } = await (await server.send("GET", "/v2/models/tiny")).json();
  assert.deepEqual([inputs[0].name, outputs[0].name], ["prompt", "image"]);
  const absent = await server.send("POST", "/v2/models/other/infer", { inputs: [] });
  assert.deepEqual([absent.status, await absent.json()], [404, { error: 'Field model is "other", tiny would do' }]);
  const many = await server.send("POST", "/v2/models/tiny/infer", { inputs: [{ name: "prompt", data: ["a", "b"] }] });
  assert.deepEqual(await many.json(), { error: "Input prompt has 2 values, one would do" });
});
