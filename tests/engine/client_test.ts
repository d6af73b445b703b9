import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { createEngine, EngineError } from "../../src/engine/client.ts";
import { parseRequest } from "../../src/engine/request.ts";
import { info } from "../server/fake_engine.ts";
import { smallRequest } from "./make.ts";

const module = new URL("./scripted_worker.ts", import.meta.url);
const never = new AbortController().signal;

function request(prompt: string) {
  return parseRequest(new Map([["prompt", prompt]]), info).request;
}

/** What a job's stream rejects with. */
async function failureOf(events: ReadableStream): Promise<Error> {
  return await Array.fromAsync(events).then(() => assert.fail("it did not fail"), (error) => error);
}

Deno.test("an engine loads, makes pictures and passes on what its Worker logs", async () => {
  const lines: string[] = [];
  const engine = createEngine({ model: "tiny", module, log: (line) => lines.push(line) });
  assert.equal(engine.status.state, "loading");
  assert.deepEqual(await engine.ready, info);
  assert.equal(engine.status.state, "ready");
  assert.deepEqual(lines, ["loading tiny"]);
  const events = await Array.fromAsync(engine.generate("a", request("finish"), never));
  assert.deepEqual([events[0].type, events.at(-1)!.type, events.length], ["started", "done", 12]);
  engine.close();
});

Deno.test("the Worker may read and map files and nothing else, whatever the server may", async () => {
  const lines: string[] = [];
  const engine = createEngine({ model: "permissions", module, log: (line) => lines.push(line) });
  await engine.ready;
  engine.close();
  assert.equal(lines.length, 8);
  assert.deepEqual(lines.filter((line) => line.endsWith(" granted")), ["read granted", "ffi granted"]);
});

Deno.test("a model that cannot be loaded rejects ready, and every job after it", async () => {
  const engine = createEngine({ model: "missing", module });
  await assert.rejects(engine.ready, { name: "EngineError", code: "internal", message: "There is no such model" });
  assert.equal(engine.status.state, "failed");
  assert.ok(await failureOf(engine.generate("a", request("finish"), never)) instanceof EngineError);
  engine.close();
});

Deno.test("a job that fails fails only itself", async () => {
  const engine = createEngine({ model: "tiny", module });
  await engine.ready;
  const waiting = engine.generate("a", request("finish"), never);
  const failed = await failureOf(engine.generate("b", request("fail"), never));
  assert.ok(failed instanceof EngineError && failed.code === "out_of_memory");
  assert.equal((await Array.fromAsync(waiting)).at(-1)!.type, "done");
  assert.equal(engine.status.state, "ready");
  engine.close();
});

Deno.test("a job whose signal fires ends with the signal's reason once the Worker has given it up", async () => {
  const engine = createEngine({ model: "tiny", module });
  await engine.ready;
  const client = new AbortController();
  const events = engine.generate("a", request("wait 1 always"), client.signal);
  client.abort(new DOMException("left", "AbortError"));
  assert.equal((await failureOf(events)).name, "AbortError");
  assert.equal((await failureOf(engine.generate("b", request("wait 1 always"), client.signal))).name, "AbortError");
  engine.close();
});

Deno.test("a job that a batch has no room for can be given again while the batch runs, and given up when its turn comes", async () => {
  const model = fileURLToPath(new URL("../../weights/tiny", import.meta.url)), client = new AbortController();
  const engine = createEngine({ model, precision: "f32", warm: false });
  const [first, longer] = engine.generateTogether([
    { id: "a", request: smallRequest, signal: never },
    { id: "b", request: { ...smallRequest, prompt: "a star BREAK in the sky" }, signal: never },
  ]);
  assert.equal(await longer.begun, false);
  const again = engine.generate("b", { ...smallRequest, steps: 40 }, client.signal);
  assert.equal((await Array.fromAsync(first.events)).at(-1)!.type, "done");
  const given = (async () => {
    for await (const { type } of again) if (type === "step") client.abort(new DOMException("left", "AbortError"));
  })();
  await assert.rejects(given, { name: "AbortError" });
  engine.close();
});
