import assert from "node:assert/strict";
import { encodeBase64 } from "@std/encoding";
import { errorResponse, isUnexpected } from "../../src/server/errors.ts";
import { UploadReader } from "../../src/server/upload.ts";
import { startInVain } from "../failing_worker.ts";

function post(body: BodyInit, type: string): Request {
  return new Request("http://localhost/generate", { method: "POST", body, headers: { "content-type": type } });
}

/** Hostile and honest bodies of nearly 16 MiB (urlencoded: 1 MiB), each with what becomes of it. */
const large: [name: string, type: string, body: () => string, verdict: RegExp | string[]][] = [
  [
    "a million keys",
    "application/json",
    () => `{${Array.from({ length: 1e6 }, (_, i) => `"k${i}":1`).join()}}`,
    /^The body has 1000000 fields, 100 or fewer would do$/,
  ],
  [
    "a quarter of a million urlencoded fields",
    "application/x-www-form-urlencoded",
    () => "a=1&".repeat(250_000),
    /^The body has 250000 fields, 100 or fewer would do$/,
  ],
  [
    "16 MB of urlencoded fields",
    "application/x-www-form-urlencoded",
    () => "a=1&".repeat(4_000_000),
    /^The urlencoded body has more than 1 MiB, multipart\/form-data would do$/,
  ],
  ["brackets without end", "application/json", () => `{"a":${"[".repeat(15_000_000)}`, /^The body is not JSON /],
  [
    "nested lists",
    "application/json",
    () => `{"a":${"[".repeat(7_000_000)}${"]".repeat(7_000_000)}}`,
    ["a"],
  ],
  ["line ends", "multipart/form-data; boundary=b", () => "\r".repeat(15_000_000), /^The body is not a form: /],
  [
    "base64",
    "application/json",
    () => JSON.stringify({ prompt: "x", init_image: encodeBase64(new Uint8Array(11_700_000)) }),
    ["prompt", "init_image"],
  ],
];

/** The longest time for which a timer of 5 ms stood still while `run` went on. */
async function longestGap(run: () => Promise<void>): Promise<number> {
  let longest = 0, last = performance.now();
  const look = () => {
    const now = performance.now();
    longest = Math.max(longest, now - last);
    last = now;
  };
  const timer = setInterval(look, 5);
  await run().finally(() => clearInterval(timer));
  look();
  return longest;
}

for (const [name, type, body, verdict] of large) {
  Deno.test(`the event loop goes on while a large body of ${name} is read`, async () => {
    using uploads = new UploadReader();
    const bytes = new TextEncoder().encode(body());
    const run = async () => {
      const request = post(bytes, type);
      if (Array.isArray(verdict)) {
        using upload = await uploads.read(request);
        assert.deepEqual([...upload.fields.keys()], verdict);
        assert.equal(uploads.heldBytes, bytes.length);
      } else {
        await assert.rejects(uploads.read(request), ({ message }: Error) => verdict.test(message));
      }
      assert.equal(uploads.heldBytes, 0);
    };
    // Where the machine is busy with something else one round may be held up; what the body does, it does in each.
    const gaps: number[] = [];
    while (gaps.length < 3 && !(Math.min(...gaps) < 50)) gaps.push(await longestGap(run));
    console.log(`longest gap ${Math.min(...gaps).toFixed(0)} ms`);
    assert.ok(Math.min(...gaps) < 100, `the event loop stood still for ${gaps} ms`);
  });
}

Deno.test("a large body gives the same fields as a small one: texts cut, pictures as bytes, lists and objects cut in depth and number", async () => {
  using uploads = new UploadReader();
  const fields = { prompt: "x", steps: 3, extra: { a: [1] }, list: [[1]], none: null, init_image: "AQID" };
  const read = async (body: unknown) => (await uploads.read(post(JSON.stringify(body), "application/json"))).fields;
  const small = await read(fields);
  const big = await read({ ...fields, padding: "y".repeat(100_000) });
  assert.equal((big.get("padding") as string).length, 32 << 10);
  big.delete("padding");
  assert.deepEqual(big, small);
  assert.deepEqual(small.get("init_image"), new Uint8Array([1, 2, 3]));
  assert.deepEqual([small.get("extra"), small.get("list"), small.get("none")], [{ a: [1] }, [[1]], null]);
  const deep = JSON.parse(`${'{"a":'.repeat(20)}1${"}".repeat(20)}`);
  const cut = await read({ deep, many: Array.from({ length: 30_000 }, () => 1), images: ["A".repeat(40_000), "AQID"] });
  assert.equal(JSON.stringify(cut.get("deep")), `${'{"a":'.repeat(8)}{}${"}".repeat(8)}`);
  assert.deepEqual(cut.get("many"), []);
  assert.deepEqual(cut.get("images"), [new Uint8Array(30_000), "AQID"]);
});

Deno.test("a picture that is no base64 is refused by name, in a small body and in a large one", async () => {
  using uploads = new UploadReader();
  for (const length of [10, 1_000_000]) {
    const body = JSON.stringify({ init_image: "!".repeat(length) });
    await assert.rejects(uploads.read(post(body, "application/json")), { name: "RequestError", field: "init_image" });
  }
});

Deno.test("a client that stops in the middle of its body is refused with 408 once it has sent nothing for a while", async () => {
  using uploads = new UploadReader({ idleMs: 100 });
  let cancelled = false;
  const paused = (pauseMs: number) => {
    let pieces = 0;
    return new ReadableStream<Uint8Array>({
      async pull(controller) {
        if (++pieces === 10) return controller.close();
        await new Promise((resolve) => setTimeout(resolve, pauseMs));
        if (!cancelled) controller.enqueue(new TextEncoder().encode("a=1&"));
      },
      cancel: () => void (cancelled = true),
    });
  };
  const form = "application/x-www-form-urlencoded";
  (await uploads.read(post(paused(20), form)))[Symbol.dispose](); // slow, and longer than 100 ms in all
  await assert.rejects(uploads.read(post(paused(400), form)), (error: Error) => {
    assert.match(error.message, /^Nothing of the body has come for 0\.1 s, /);
    const answer = errorResponse(error);
    assert.deepEqual([answer.status, answer.headers.get("connection")], [408, "close"]);
    return true;
  });
  assert.deepEqual([cancelled, uploads.heldBytes], [true, 0]);
});

Deno.test("a reader that was started does not let the first large body wait for its Worker", async () => {
  const body = JSON.stringify({ prompt: "x".repeat(40_000) });
  const read = async (uploads: UploadReader): Promise<number> => {
    const from = performance.now();
    (await uploads.read(post(body, "application/json")))[Symbol.dispose]();
    return performance.now() - from;
  };
  const cold: number[] = [], started: number[] = [];
  for (let i = 0; i < 3; i++) {
    using later = new UploadReader(), now = new UploadReader();
    cold.push(await read(later));
    now.start();
    await new Promise((resolve) => setTimeout(resolve, 500)); // its modules are loaded on a thread of its own
    started.push(await read(now));
  }
  assert.ok(2 * Math.min(...started) < Math.min(...cold), `${started} ms, and ${cold} ms of those that were not`);
});

Deno.test("a Worker that fails before a body came ends nothing else, and the first large body has another", async () => {
  using uploads = new UploadReader();
  await startInVain(() => uploads.start());
  const body = JSON.stringify({ prompt: "x".repeat(40_000), seed: 7 });
  using upload = await uploads.read(post(body, "application/json"));
  assert.equal(upload.fields.get("seed"), 7);
});

Deno.test("a body that breaks off is its client's leaving, and no fault of the server's", async () => {
  using uploads = new UploadReader();
  const pull = (controller: ReadableStreamDefaultController<Uint8Array>) =>
    uploads.heldBytes === 0
      ? controller.enqueue(new Uint8Array(100))
      : controller.error(new Deno.errors.BadResource("Cannot read request body as underlying resource unavailable"));
  const request = post(new ReadableStream({ pull }, { highWaterMark: 0 }), "application/json");
  await assert.rejects(uploads.read(request), (error: Error) => {
    assert.deepEqual([errorResponse(error).status, isUnexpected(error)], [499, false]);
    return true;
  });
  assert.equal(uploads.heldBytes, 0);
});

Deno.test("bodies that together are over the limit are refused with 503 until earlier ones are done with", async () => {
  using uploads = new UploadReader({ maxHeldBytes: 30_000 });
  const body = () => post("a".repeat(20_000), "application/x-www-form-urlencoded");
  const first = await uploads.read(body());
  await assert.rejects(uploads.read(body()), (error: Error) => {
    const answer = errorResponse(error);
    assert.deepEqual([answer.status, answer.headers.get("retry-after")], [503, "5"]);
    return true;
  });
  assert.equal(uploads.heldBytes, 20_000);
  first[Symbol.dispose]();
  first[Symbol.dispose]();
  assert.equal(uploads.heldBytes, 0);
  (await uploads.read(body()))[Symbol.dispose]();
});
