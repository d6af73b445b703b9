import { deepStrictEqual, ok, strictEqual, throws } from "node:assert/strict";
import { openDevice } from "../../src/gpu/device.ts";
import { Graph } from "../../src/graph/graph.ts";
import { createStorage, freeze } from "../../src/graph/plan.ts";
import { gelu, silu } from "../../src/ops/elementwise.ts";
import { portable } from "./targets.ts";

/** Follows the buffers that a device makes from now on; gives the labels of those not destroyed. */
function followBuffers(gpu: GPUDevice): () => string[] {
  const alive = new Set<GPUBuffer>(), create = gpu.createBuffer.bind(gpu);
  gpu.createBuffer = (descriptor) => {
    const buffer = create(descriptor), destroy = buffer.destroy.bind(buffer);
    alive.add(buffer);
    buffer.destroy = () => {
      alive.delete(buffer);
      destroy();
    };
    return buffer;
  };
  return () => Array.from(alive, ({ label }) => label).sort();
}

Deno.test("a plan frees what it allocated, and nothing the second time", async () => {
  using device = await openDevice();
  const alive = followBuffers(device.gpu);
  const graph = new Graph(portable), shared = createStorage(device, "shared", 64);
  graph.keep("y", gelu(silu(graph.input("x", [4, 4], "f32"))));
  const plan = freeze(device, graph, { x: shared });
  deepStrictEqual(alive(), ["shapes", "shared", "slot 0", "y", "zeros"]);
  for (let times = 0; times < 2; times++) {
    plan[Symbol.dispose]();
    deepStrictEqual(alive(), ["shared"]);
  }
  await device.idle();
});

Deno.test("a value larger than the device binds is named, and what was allocated before it is freed", async () => {
  using device = await openDevice();
  const alive = followBuffers(device.gpu), rows = device.maxBinding / 16 + 1;
  const graph = new Graph(portable);
  silu(gelu(graph.input("x", [4, 4], "f32"))); // a slot
  graph.input("enormous", [rows, 4], "f32");
  throws(() => freeze(device, graph), {
    name: "RangeError",
    message: `Cannot allocate enormous: ${16 * rows} bytes, and this GPU binds ${device.maxBinding} at most`,
  });
  deepStrictEqual(alive(), []);
  await device.idle();
});

Deno.test("a buffer is at least 16 bytes, and as many as the device binds are allowed", async () => {
  using device = await openDevice();
  for (const [bytes, size] of [[1, 16], [48, 48], [device.maxBinding, device.maxBinding]]) {
    const buffer = createStorage(device, "buffer", bytes);
    strictEqual(buffer.size, size);
    buffer.destroy();
  }
  await device.idle();
  ok(device.maxBinding >= 128 << 20, "WebGPU's least");
});
