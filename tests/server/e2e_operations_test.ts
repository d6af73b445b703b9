/** The programme as whoever runs it sees it: how it starts, what it logs, what it may do, and how it stops. */
import assert from "node:assert/strict";
import { decode } from "fast-png";
import { Server, sleep, until } from "./programme.ts";

const prompt = "prompt=a+red+circle+on+a+blue+background";

Deno.test("it says which model, on what, with how much memory, where, and what to try, which works", async () => {
  await using server = await Server.start();
  assert.match(server.out, /^\S+Z INFO Serving tiny in f32 at http:\S+, ready in [\d.]+ s$/m);
  assert.match(server.out, /^ {2}adapter +llvmpipe .*, Vulkan, SOFTWARE$/m);
  assert.match(server.out, /^ {2}memory +[\d.]+ MiB in use, at most [\d.]+ [MG]iB$/m);
  const example = /^ {2}try +(curl .*) -o out\.png$/m.exec(server.out)![1];
  const { stdout } = await new Deno.Command("sh", { args: ["-c", `${example} -sS`] }).output();
  assert.equal(decode(stdout).width, 128);
  await until(() => Promise.resolve(/ WARN llvmpipe .* is software, and slow/.test(server.errors)));
});

Deno.test("with --log-format json every line is a record, from the start to the stop, and no prompt is among them", async () => {
  await using server = await Server.start("--log-format", "json");
  const headers = { "x-request-id": "mine" };
  const answer = await server.get("prompt=a+secret+circle&seed=5&steps=2", { headers });
  await answer.bytes();
  const stages = answer.headers.get("server-timing")!.split(", ").map((entry) => /^(\w+);dur=[\d.]+$/.exec(entry)![1]);
  assert.deepEqual(stages.filter((name) => !name.endsWith("_gpu")), ["queue", "text", "start", "denoise", "decode"]);
  await (await server.get("prompt=a+secret+circle&steps=0", { headers })).bytes();
  server.process.kill("SIGINT");
  assert.equal(await server.exit(), 0, server.errors);
  const records = server.out.trim().split("\n").map((line) => JSON.parse(line));
  assert.deepEqual(records.map(({ message }) => message.split(" ")[0]), [
    ...["Serving", "Answered", "Answered", "Stopping", "Stopped"],
  ]);
  const [serving, made, refused] = records;
  assert.equal(serving.software, true);
  assert.ok(serving.memory_used_bytes > 0 && serving.memory_budget_bytes > serving.memory_used_bytes);
  assert.ok(serving.try.includes(serving.url));
  assert.deepEqual([made.request, made.status, made.seed, made.size, made.steps], ["mine", 200, 5, "128x128", 2]);
  assert.deepEqual([refused.request, refused.status, refused.code], ["mine", 400, "invalid_field"]);
  assert.ok(!`${server.out}${server.errors}`.includes("secret"));
});

Deno.test("SIGTERM finishes what was accepted and exits with 0; meanwhile live stays 200, ready is 503, and what is refused closes its connection and says when to come back", async () => {
  await using server = await Server.start();
  const accepted = server.get(`${prompt}&steps=30`);
  await until(async () => await server.queueLength() === 1);
  server.process.kill("SIGTERM");
  await until(async () => (await fetch(`${server.url}/health/ready`)).status === 503);
  assert.equal((await fetch(`${server.url}/health/live`)).status, 200);
  const curl = new Deno.Command("curl", { args: ["-sSi", `${server.url}/generate?${prompt}`] });
  const refused = new TextDecoder().decode((await curl.output()).stdout);
  assert.match(refused, /^HTTP\/1\.1 503 /);
  assert.match(refused, /^connection: close\r$/im);
  assert.match(refused, /^retry-after: \d+\r$/im);
  assert.equal((await accepted).status, 200);
  assert.equal(decode(await (await accepted).bytes()).width, 128);
  assert.equal(await server.exit(), 0, server.errors);
});

Deno.test("jobs that are not done by --drain-timeout are cancelled and told so, and it still ends in good order", async () => {
  await using server = await Server.start("--drain-timeout", "300ms");
  const long = `${prompt}&steps=150&width=256&height=256`;
  const answers = [server.get(long), server.get(long), server.get(`${long}&format=sse`)];
  await until(async () => await server.queueLength() === 3);
  const began = performance.now();
  server.process.kill("SIGTERM");
  for (const answer of answers.slice(0, 2)) {
    const response = await answer;
    assert.equal(response.status, 503);
    assert.ok(response.headers.has("retry-after"));
    assert.equal((await response.json()).error.code, "server_stopped");
  }
  assert.match(await (await answers[2]).text(), /^event: error\ndata: .*"server_stopped"/m);
  assert.equal(await server.exit(), 0, server.errors);
  assert.ok(performance.now() - began < 5000);
  assert.match(server.errors, / WARN Cancelling 3 jobs /);
});

Deno.test("an engine that fails for good ends the process with 1, once what waits is answered, so that it is started anew", async () => {
  await using server = await Server.startWith(["--preload", "tests/server/doomed.ts"]);
  const answers = ["lose 1", "finish", "finish"].map((prompt) => server.get(`prompt=${encodeURIComponent(prompt)}`));
  for (const answer of answers) {
    const response = await answer;
    assert.deepEqual([response.status, (await response.json()).error.code], [503, "engine_failed"]);
  }
  assert.equal(await server.exit(), 1);
  assert.match(server.errors, / ERROR Stopping with a failure, .+ would do$/m);
});

Deno.test("a second signal ends it at once, with a failure", async () => {
  await using server = await Server.start();
  const lost = server.get(`${prompt}&steps=150&width=256&height=256`);
  lost.catch(() => {});
  await until(async () => await server.queueLength() === 1);
  server.process.kill("SIGTERM");
  server.process.kill("SIGTERM"); // the first again, as deno task passes it on
  await until(() => Promise.resolve(server.out.includes("Stopping once 1 accepted jobs")));
  await sleep(300);
  assert.ok((await fetch(`${server.url}/health/live`)).ok);
  const began = performance.now();
  server.process.kill("SIGTERM");
  assert.equal(await server.exit(), 1);
  assert.ok(performance.now() - began < 1000);
  await assert.rejects(lost);
});
