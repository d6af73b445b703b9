import assert from "node:assert/strict";
import { Counter, Histogram, textOf } from "../../src/server/instruments.ts";
import { Counts } from "../../src/server/counts.ts";
import { readExposition } from "./exposition.ts";
import { moment, serve } from "./serve.ts";

const memory = {
  budget: 2 ** 31,
  used: 6,
  peak: 9,
  bytes: { weights: 1, slots: 2, named: 3, staging: 0 },
  residents: [
    { kind: "unet" as const, name: "tiny unet", bytes: 1 },
    ...[64, 72, 80].map((side) => ({ kind: "plan" as const, name: `tiny decode, ${side}x${side}`, bytes: side })),
  ],
  evictions: 4,
};

Deno.test("what is counted is written as Prometheus reads it, whatever labels and numbers there are", () => {
  const counter = new Counter({ name: "a_total", help: "Back\\slash\nand more" }, [{ kind: "none" }]);
  for (const kind of ['a "b" \\ \n c', "x", "x"]) counter.add({ kind });
  const histogram = new Histogram({ name: "b_seconds", help: "Times" }, [0.1, 1]);
  for (const value of [0.05, 0.1, 0.5, 7]) histogram.observe(value, { route: "/" });
  const odd = [Infinity, -Infinity, NaN, 1e21, 1e-7].map((value, i) => ({ labels: { i: `${i}` }, value }));
  const page = textOf([counter.family, histogram.family, { name: "c", help: "Odd", type: "gauge", samples: odd }]);
  assert.equal(page.split("\n")[0], "# HELP a_total Back\\\\slash\\nand more");
  const families = readExposition(page);
  assert.deepEqual(families.get("a_total")!.samples.map(({ labels: { kind }, value }) => [kind, value]), [
    ["none", 0],
    ['a "b" \\ \n c', 1],
    ["x", 2],
  ]);
  assert.deepEqual(families.get("b_seconds")!.samples.map(({ labels: { le }, value }) => [le, value]), [
    ["0.1", 2],
    ["1", 3],
    ["+Inf", 4],
    [undefined, 7.65],
    [undefined, 4],
  ]);
  assert.deepEqual(families.get("c")!.samples.map(({ value }) => value), [Infinity, -Infinity, NaN, 1e21, 1e-7]);
});

/** The page of `/metrics` as values by name and labels. */
async function scrape({ send }: ReturnType<typeof serve>) {
  const response = await send("GET", "/metrics");
  assert.equal(response.headers.get("content-type"), "text/plain; version=0.0.4; charset=utf-8");
  const families = readExposition(await response.text());
  const samples = [...families.values()].flatMap(({ samples }) => samples);
  const value = (name: string, labels: Record<string, string> = {}) => {
    return samples.find((one) => {
      return one.name === name && Object.entries(labels).every(([key, value]) => one.labels[key] === value);
    })?.value;
  };
  const all = (name: string) => samples.filter((one) => one.name === name).map(({ labels, value }) => [labels, value]);
  return Object.assign(value, { all });
}

Deno.test("/metrics tells of the device's memory by kind and component, and of the process", async () => {
  using server = serve();
  const before = await scrape(server);
  assert.equal(before("sd_device_memory_peak_bytes"), undefined);
  server.engine.memory = memory;
  Object.assign(server.engine, { faults: { ...server.engine.faults, device_lost: 2, recoveries: 1 } });
  const value = await scrape(server);
  assert.equal(value("sd_engine_faults_total", { kind: "device_lost" }), 2);
  assert.equal(value("sd_engine_recoveries_total"), 1);
  assert.equal(value("sd_ready"), 1);
  assert.equal(value("sd_device_memory_bytes", { kind: "weights" }), 1);
  assert.equal(value("sd_device_memory_bytes", { kind: "named" }), 3);
  assert.equal(value("sd_device_memory_budget_bytes"), 2 ** 31);
  assert.equal(value("sd_device_memory_peak_bytes"), 9);
  const kinds = { text_encoder: 0, unet: 1, vae: 0, plan: 64 + 72 + 80, state: 0 };
  assert.deepEqual(value.all("sd_resident_bytes"), Object.entries(kinds).map(([kind, bytes]) => [{ kind }, bytes]));
  assert.equal(value("sd_evictions_total"), 4);
  assert.equal(value("sd_queue_capacity"), 8);
  assert.equal(value("sd_adapter_info", { name: "llvmpipe", software: "true", precision: "f32" }), 1);
  assert.equal(value("sd_model_info", { name: "tiny" }), 1);
  assert.equal(value("sd_build_info", { deno: Deno.version.deno }), 1);
  assert.ok(value("process_resident_memory_bytes")! > 1e6 && value("process_cpu_seconds_total")! > 0);
  assert.ok(Math.abs(value("process_start_time_seconds")! - Date.now() / 1000) < 3600);
});

Deno.test("jobs are counted while they wait and run, and by how they ended, with what each stage took", async () => {
  using server = serve();
  const client = new AbortController();
  const get = (query: string, init?: RequestInit) => server.send("GET", `/generate?prompt=x&${query}`, undefined, init);
  const answers = [get("steps=4"), get("steps=4"), get("", { signal: client.signal })];
  const first = await server.engine.next();
  const busy = await scrape(server);
  assert.deepEqual([busy("sd_queue_jobs", { state: "running" }), busy("sd_queue_jobs", { state: "queued" })], [1, 2]);
  assert.ok(busy("sd_queue_wait_seconds")! >= 1);
  assert.equal(busy("sd_job_cancels_total", { reason: "client_left" }), 0);
  first.run();
  await (await answers[0]).bytes();
  client.abort();
  await answers[2];
  (await server.engine.next()).fail({ code: "device_lost", message: "The device is gone" });
  await (await answers[1]).body!.cancel();
  await moment();
  const value = await scrape(server);
  assert.equal(value("sd_queue_wait_seconds"), 0, "nobody waits for anything");
  assert.deepEqual([value("sd_queue_jobs", { state: "running" }), value("sd_queue_jobs", { state: "queued" })], [0, 0]);
  for (const outcome of ["completed", "failed", "cancelled"]) assert.equal(value("sd_jobs_total", { outcome }), 1);
  assert.equal(value("sd_job_failures_total", { code: "device_lost" }), 1);
  assert.equal(value("sd_job_cancels_total", { reason: "client_left" }), 1);
  assert.equal(value("sd_pictures_total"), 1);
  assert.equal(value("sd_step_duration_seconds_count"), 4);
  assert.equal(value("sd_step_duration_seconds_sum"), 0.004);
  assert.equal(value("sd_steps_per_second"), 1000);
  assert.equal(value("sd_stage_duration_seconds_sum", { stage: "denoise" }), 0.004);
  assert.equal(value("sd_stage_gpu_seconds_total", { stage: "denoise" }), 0.0035);
  assert.equal(value("sd_stage_duration_seconds_count", { stage: "queue" }), 2);
  assert.equal(value("sd_stage_duration_seconds_count", { stage: "png" }), 1);
  assert.equal(value("sd_job_duration_seconds_count"), 1);
});

Deno.test("requests are counted by the pattern of their path, so that clients cannot make up labels", async () => {
  using server = serve();
  const paths = [
    "/v1/jobs/one",
    "/v1/jobs/two",
    "/x/1",
    "/x/2",
    "/v2/models/other/infer",
    "/generate",
    "/page/main.js",
  ];
  for (const path of paths) await (await server.send("GET", path)).body?.cancel();
  await (await server.send("BREW", "/generate")).body?.cancel();
  const value = await scrape(server);
  const requests = (route: string, method: string, status: string) =>
    value("sd_http_requests_total", { route, method, status });
  assert.equal(requests("/v1/jobs/:id", "GET", "404"), 2);
  assert.equal(requests("none", "GET", "404"), 2);
  assert.equal(requests("/generate", "GET", "400"), 1);
  assert.equal(requests("/generate", "OTHER", "405"), 1);
  assert.equal(requests("/page/main.js", "GET", "200"), 1);
  assert.equal(value("sd_http_request_duration_seconds_count", { route: "/v1/jobs/:id" }), 2);
  assert.equal(value("sd_http_errors_total", { code: "job_not_found" }), 2);
  assert.equal(value("sd_http_errors_total", { code: "invalid_field" }), 1);
});

Deno.test("the event loop is looked at, and a delay is seen", async () => {
  const counts = new Counts(), end = counts.watchLoop();
  await moment(120);
  const until = performance.now() + 150;
  while (performance.now() < until);
  await moment(120);
  end();
  const { samples } = counts.families.find(({ name }) => name === "sd_event_loop_delay_seconds")!;
  assert.ok(samples.find(({ suffix }) => suffix === "_count")!.value >= 2);
  assert.ok(samples.find(({ suffix }) => suffix === "_sum")!.value >= 0.05);
});
