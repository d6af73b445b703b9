/** A device that has less memory than was thought: pictures are made all the same, as far as it goes. */
import { deepStrictEqual, match, ok, rejects, strictEqual } from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { fit, recordDecode } from "../../src/engine/canvas.ts";
import { Engine } from "../../src/engine/engine.ts";
import { neededBytes } from "../../src/engine/limits.ts";
import type { GenerateRequest } from "../../src/engine/request.ts";
import type { Device } from "../../src/gpu/device.ts";
import { smallRequest } from "./make.ts";

const side = 384;
const request: GenerateRequest = { ...smallRequest, width: side, height: side, steps: 1 };

const lines: string[] = [];

function open(budget = 2 ** 40): Promise<Engine> {
  const model = fileURLToPath(new URL("../../weights/tiny", import.meta.url));
  return Engine.open({ model, precision: "f32", budget, log: (line) => lines.push(line) });
}

/** The events of a picture, times of stages aside, and the scanlines that are the last to come for each row. */
async function make(engine: Engine, changes: Partial<GenerateRequest> = {}) {
  const types: string[] = [], bands = new Map<number, Uint8Array>();
  for await (const event of engine.generate({ ...request, ...changes }, new AbortController().signal)) {
    if (event.type !== "stage" && event.type !== types.at(-1)) types.push(event.type);
    if (event.type === "rows") bands.set(event.top, event.bytes);
  }
  return { types, rows: [...bands.values()].map((band) => [...band]) };
}

/**
 * Has a device refuse what is beyond `capacity` bytes, as its driver does: an error in the scope, and a buffer or texture that
 * is of no use. Returns how often that came to be.
 */
function limitMemory({ gpu, memory }: Device, capacity: number): () => number {
  const buffer = gpu.createBuffer.bind(gpu), texture = gpu.createTexture.bind(gpu), pop = gpu.popErrorScope.bind(gpu);
  let refusals = 0, isRefused = false;
  const refuse = <Resource>(create: () => Resource): Resource => {
    [refusals, isRefused] = [refusals + 1, true];
    gpu.pushErrorScope("validation");
    const useless = create();
    pop();
    return useless;
  };
  gpu.createBuffer = (descriptor) => {
    if (memory.used + descriptor.size <= capacity) return buffer(descriptor);
    return refuse(() => buffer({ ...descriptor, size: 2 ** 45 }));
  };
  gpu.createTexture = (descriptor) => {
    const [width, height = 1] = descriptor.size as number[];
    if (memory.used + 16 * width * height <= capacity) return texture(descriptor);
    return refuse(() => texture({ ...descriptor, mipLevelCount: 99 }));
  };
  gpu.popErrorScope = () => {
    if (!isRefused) return pop();
    isRefused = false;
    return pop().then(() => new GPUOutOfMemoryError("Not enough memory left"));
  };
  return () => refusals;
}

const { decodeBytes, leastBytes } = await needs();

/** What the decoder takes undivided, and what the picture takes at the least. */
async function needs() {
  using engine = await open();
  const { model } = engine.standard, size = { images: 1, height: side, width: side };
  const decodeBytes = fit(model, size, (options) => recordDecode(model, size, options)).need.bytes;
  engine.backend.residency.shrink(1);
  return { decodeBytes, leastBytes: neededBytes(model, size) };
}

Deno.test("a device that runs out of memory gives up all else, decodes in bands, and makes the picture that a lower budget does", async () => {
  ok(leastBytes < 0.9 * decodeBytes, `${leastBytes} bytes in bands, ${decodeBytes} undivided`);
  const capacity = Math.floor((leastBytes + decodeBytes) / 2);
  using engine = await open();
  engine.unload();
  const refusals = limitMemory(engine.device, capacity);
  const made = await make(engine);
  deepStrictEqual(made.types, ["started", "step", "again", "started", "step", "rows", "done"]);
  const { budget, used, bytes } = engine.memory, before = refusals();
  ok(before > 0 && used <= capacity && bytes.staging === 0);
  ok(budget !== undefined && budget >= leastBytes && budget <= capacity, `a budget of ${budget} of ${capacity} bytes`);
  match(lines.at(-1)!, / is out of memory: [\d.]+ MiB of it are used from now on$/);
  deepStrictEqual((await make(engine)).types, ["started", "step", "rows", "done"], "it has learnt");
  strictEqual(refusals(), before);
  using other = await open(budget);
  deepStrictEqual(made.rows, (await make(other)).rows);
});

Deno.test("a picture for which there is not enough memory at all fails once it was tried twice, and others are made", async () => {
  using engine = await open();
  const { defaults } = engine.info.model, small = { width: defaults.width, height: defaults.height };
  const least = neededBytes(engine.standard.model, defaults);
  engine.unload();
  limitMemory(engine.device, Math.floor(1.05 * least));
  ok(1.05 * least < leastBytes);
  await rejects(make(engine), {
    name: "GpuOutOfMemoryError",
    message: /^The GPU has no \d+ bytes for .+ beside the \d+ in use$/,
  });
  deepStrictEqual(engine.memory.residents, []);
  strictEqual(engine.memory.used, 0);
  const { types } = await make(engine, small);
  deepStrictEqual(types.slice(-2), ["rows", "done"]);
  await rejects(make(engine), { name: "RefusedError", message: /needs [\d.]+ MiB of device memory/ });
});

Deno.test("however little memory others leave for a while, the default size is tried again", async () => {
  using engine = await open();
  const { width, height } = engine.info.model.defaults,
    { createBuffer, createTexture, popErrorScope } = engine.device.gpu;
  engine.unload();
  limitMemory(engine.device, 2 ** 20);
  for (let times = 0; times < 2; times++) {
    await rejects(make(engine, { width, height }), { name: "GpuOutOfMemoryError" });
  }
  strictEqual(engine.memory.used, 0);
  Object.assign(engine.device.gpu, { createBuffer, createTexture, popErrorScope });
  deepStrictEqual((await make(engine, { width, height })).types, ["started", "step", "rows", "done"]);
});
