/** Devices and Workers that really fail while pictures are made: the pictures are the same, and nothing is left behind. */
import { deepStrictEqual, match, ok } from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { createEngine, type Engine, type JobProgress } from "../../src/engine/client.ts";
import { parseRequest } from "../../src/engine/request.ts";

const model = fileURLToPath(new URL("../../weights/tiny", import.meta.url));
const module = new URL("./faulty_worker.ts", import.meta.url);
const channel = new BroadcastChannel("faults");
Deno.test.afterAll(() => channel.close());

async function start(options: { gpuTimeout?: number; warm?: boolean }) {
  const lines: string[] = [];
  const log = (line: string) => void lines.push(line);
  const engine = createEngine({ model, module, precision: "f32", backoffMs: 1, log, ...options });
  await engine.ready;
  return Object.assign(engine, { lines, [Symbol.dispose]: () => engine.close() });
}

let ids = 0;

/** A picture's events of a kind; `told` hears of each as it comes. */
async function make(engine: Engine, steps: number, told: (event: JobProgress) => void = () => {}) {
  const { model } = engine.status.state === "ready" ? engine.status.info : await engine.ready;
  const fields = { prompt: "a red circle on a blue background", width: 64, height: 64, steps, seed: 7, previews: 2 };
  const { request } = parseRequest(new Map(Object.entries(fields)), { ...await engine.ready, model });
  const events: JobProgress[] = [];
  for await (const event of engine.generate(`${ids++}`, request, new AbortController().signal)) {
    if (event.type !== "stage") events.push(event);
    told(event);
  }
  return events.map(({ id: _, ...event }) => {
    if (event.type === "step") return { ...event, ms: 0 };
    return event.type === "done" ? { type: event.type } : event;
  });
}

Deno.test("devices lost and a Worker that crashes in the middle of pictures: events, rows and memory are those of calm", async () => {
  using engine = await start({ warm: false });
  const calm = await make(engine, 6);
  await make(engine, 6);
  const { used, bytes } = engine.memory!;
  for (const [times, [fault, at]] of ([["lose", 2], ["crash", 4], ["lose", 6]] as const).entries()) {
    // A second job waits meanwhile.
    const [made, waited] = await Promise.all([
      make(engine, 6, (event) => {
        if (event.type === "step" && event.step === at) channel.postMessage(fault);
      }),
      make(engine, 6),
    ]);
    deepStrictEqual(made, calm);
    deepStrictEqual(waited, calm);
    deepStrictEqual([engine.faults.recoveries, engine.status.state], [times + 1, "ready"]);
    deepStrictEqual([engine.memory!.used, engine.memory!.bytes], [used, bytes]);
  }
  const { device_lost, worker_crashed, retries } = engine.faults;
  deepStrictEqual([device_lost, worker_crashed], [2, 1]);
  ok(retries >= 2, `${retries} of three were interrupted`);
});

Deno.test("a GPU that hangs in a job is noticed, another device is opened, and the picture is the same", async () => {
  using engine = await start({ gpuTimeout: 1500 });
  const calm = await make(engine, 6);
  let hung = 0;
  const made = await make(engine, 6, (event) => {
    if (event.type !== "step" || event.step !== 3) return;
    channel.postMessage("hang");
    hung = performance.now();
  });
  deepStrictEqual(made, calm);
  ok(performance.now() - hung > 1500);
  const { device_hung, recoveries, retries } = engine.faults;
  deepStrictEqual([device_hung, recoveries, retries], [1, 1, 1]);
  channel.postMessage("lose"); // while nothing runs: it is replaced before anybody asks
  while (engine.faults.recoveries === 1) await new Promise((resolve) => setTimeout(resolve, 10));
  deepStrictEqual([engine.faults.device_lost, engine.faults.retries], [1, 1]);
  match(engine.lines.join("\n"), /^The GPU has not answered for \d+ s; the engine starts again$/m);
});
