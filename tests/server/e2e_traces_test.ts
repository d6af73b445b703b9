/** Spans as a collector receives them from the programme. */
import assert from "node:assert/strict";
import { Server, until } from "./programme.ts";

interface Span {
  traceId: string;
  spanId: string;
  parentSpanId?: string;
  name: string;
  startTimeUnixNano: string;
  endTimeUnixNano: string;
  attributes: { key: string; value: Record<string, unknown> }[];
  status?: { code?: number | string; message?: string };
}

/** A collector of OTLP in JSON over HTTP. */
class Collector implements AsyncDisposable {
  readonly spans: Span[] = [];
  /** All that came, as it came. */
  text = "";
  readonly #server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, async (request) => {
    const text = await request.text();
    this.text += text;
    if (new URL(request.url).pathname === "/v1/traces") {
      for (const { scopeSpans } of JSON.parse(text).resourceSpans) {
        for (const { spans } of scopeSpans) this.spans.push(...spans);
      }
    }
    return Response.json({});
  });

  get env(): Record<string, string> {
    return {
      OTEL_DENO: "true",
      OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${this.#server.addr.port}`,
      OTEL_EXPORTER_OTLP_PROTOCOL: "http/json",
      OTEL_BSP_SCHEDULE_DELAY: "50",
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.shutdown();
  }
}

const attributesOf = ({ attributes }: Span) =>
  Object.fromEntries(attributes.map(({ key, value }) => [key, Object.values(value)[0]]));

Deno.test("a job's stages are spans below its request's, which belongs to the caller's trace; none of them has a prompt", async () => {
  await using collector = new Collector();
  for (const [name, value] of Object.entries(collector.env)) Deno.env.set(name, value);
  try {
    await using server = await Server.start("--log-format", "json");
    const [traceId, parentId] = ["4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"];
    const headers = { traceparent: `00-${traceId}-${parentId}-01`, "x-request-id": "mine" };
    const fields = { prompt: "a secret circle", negative_prompt: "hidden", seed: "5", steps: "3" };
    const body = new URLSearchParams(fields);
    const answer = await fetch(`${server.url}/generate`, { method: "POST", headers, body });
    await answer.bytes();
    const id = answer.headers.get("x-job-id");
    await (await server.get("prompt=told&steps=150&timeout_ms=50")).body?.cancel();
    await until(() => Promise.resolve(collector.spans.filter(({ name }) => name === "job").length === 2));
    server.process.kill("SIGTERM");
    assert.equal(await server.exit(), 0, server.errors);

    const mine = collector.spans.filter((span) => span.traceId === traceId);
    const only = (name: string) => {
      const [span, ...others] = mine.filter((span) => span.name === name);
      assert.ok(span && others.length === 0, `${name}: ${mine.map(({ name }) => name)}`);
      return span;
    };
    const request = only("POST /generate"), job = only("job");
    assert.equal(request.parentSpanId, parentId);
    assert.equal(attributesOf(request)["http.route"], "/generate");
    assert.equal(job.parentSpanId, request.spanId);
    const said = attributesOf(job);
    assert.deepEqual([said["sd.job.id"], said["sd.request.id"], said["sd.model"]], [id, "mine", "tiny"]);
    assert.deepEqual([said["sd.width"], said["sd.steps"], said["sd.seed"]].map(Number), [128, 3, 5]);
    for (const stage of ["queue", "text", "start", "denoise", "decode", "rows", "png"]) {
      const span = only(stage);
      assert.equal(span.parentSpanId, job.spanId, stage);
      const [begin, end] = [BigInt(span.startTimeUnixNano), BigInt(span.endTimeUnixNano)];
      assert.ok(begin <= end && end <= BigInt(job.endTimeUnixNano) + 2_000_000n, stage);
    }
    assert.ok(Number(attributesOf(only("denoise"))["sd.gpu_ms"] ?? 1) > 0);
    const late = collector.spans.find((span) => span.name === "job" && span.traceId !== traceId)!;
    assert.equal(late.status?.message, "deadline_passed");
    const line = server.out.split("\n").find((line) => line.includes('"mine"'))!;
    assert.equal(JSON.parse(line).trace, traceId);
    for (const word of ["secret", "hidden"]) assert.equal(collector.text.includes(word), false, word);
    // What Deno itself tells of a GET is its address; nothing else has the prompt.
    const told = collector.spans.flatMap(({ attributes }) =>
      attributes.filter((one) => `${one.value.stringValue}`.includes("told"))
    );
    assert.deepEqual(told.map(({ key }) => key).sort(), ["url.full", "url.query"]);
  } finally {
    for (const name of Object.keys(collector.env)) Deno.env.delete(name);
  }
});
