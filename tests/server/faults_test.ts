/** What clients see of an engine that recovers, and of one that does not. */
import assert from "node:assert/strict";
import { EngineError } from "../../src/engine/client.ts";
import { info } from "./fake_engine.ts";
import { errorOf, serve } from "./serve.ts";

Deno.test("while the engine recovers nothing is ready, jobs are taken and made afterwards, and the metrics count it", async () => {
  using server = serve({ capacity: 1 });
  const error = new EngineError("device_lost", "The device is gone");
  server.engine.status = { state: "recovering", info, error };
  Object.assign(server.engine.faults, { device_lost: 2, recoveries: 1, retries: 3 });
  for (const path of ["/health/ready", "/health", "/v2/health/ready"]) {
    const ready = await server.app.request(path);
    assert.deepEqual([ready.status, ready.headers.get("retry-after")], [503, "5"], path);
    if (path === "/health/ready") {
      const queue = { length: 0, capacity: 1 };
      assert.deepEqual(await ready.json(), { status: "recovering", error: "The device is gone", queue });
    }
  }
  assert.equal((await server.app.request("/health/live")).status, 200);
  const answer = server.send("GET", "/generate?prompt=x"), job = await server.engine.next();
  assert.equal((await server.send("GET", "/generate?prompt=y")).status, 429, "the queue is bounded as ever");
  const lines = (await (await server.app.request("/metrics")).text()).split("\n");
  for (
    const line of [
      "sd_ready 0",
      'sd_engine_faults_total{kind="device_lost"} 2',
      'sd_engine_faults_total{kind="device_hung"} 0',
      'sd_engine_faults_total{kind="worker_crashed"} 0',
      'sd_engine_faults_total{kind="out_of_memory"} 0',
      "sd_engine_recoveries_total 1",
      "sd_job_retries_total 3",
    ]
  ) assert.ok(lines.includes(line), line);
  server.engine.status = { state: "ready", info };
  job.run();
  assert.equal((await answer).status, 200);
  server.engine.status = { state: "failed", error: new EngineError("engine_failed", "It failed again and again") };
  assert.equal((await server.app.request("/health/ready")).status, 503);
  assert.deepEqual(await errorOf(await server.send("GET", "/generate?prompt=x")), {
    ...{ status: 503, code: "engine_failed", message: "It failed again and again", type: "server_error", param: null },
  });
});
