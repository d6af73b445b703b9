/** The VAE in bands of rows: what it computes undivided, in less memory and beyond what a device binds. */
import { ok, strictEqual } from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { openFolder } from "../../src/checkpoint/folder.ts";
import { needOf, recordDecode, recordEncode } from "../../src/engine/canvas.ts";
import { whyTooLarge } from "../../src/engine/limits.ts";
import { createBackend, openStableDiffusion } from "../../src/engine/model.ts";
import { openDevice } from "../../src/gpu/device.ts";
import { Graph, type Value } from "../../src/graph/graph.ts";
import { freeze } from "../../src/graph/plan.ts";
import type { BandOptions } from "../../src/models/vae/autoencoder.ts";
import { gaussian } from "../../src/tensor/random.ts";

const device = await openDevice();
const folder = openFolder(fileURLToPath(new URL("../../weights/tiny", import.meta.url)));
const precisions = device.f16 ? ["f32", "f16"] as const : ["f32"] as const;
const models = new Map(precisions.map((precision) => [
  precision,
  openStableDiffusion(createBackend(device, precision), folder, { name: "tiny" }),
]));
Deno.test.afterAll(() => {
  for (const model of models.values()) model[Symbol.dispose]();
  device[Symbol.dispose]();
});

/** What a VAE makes of normals, undivided and in bands, and the largest value that it stores. */
async function run(
  precision: "f32" | "f16",
  shape: [images: number, height: number, width: number, channels: number],
  record: (x: Value, options: BandOptions) => Value,
  { bandBytes, wraps }: BandOptions & { wraps?: boolean },
): Promise<{ y: Float32Array; largest: number; dispatches: number }> {
  const { backend } = models.get(precision)!, graph = new Graph({ ...backend.vaeTarget, wraps });
  graph.keep("y", record(graph.input("x", shape, precision), { bandBytes }));
  let largest = 0;
  for (const { operands, writes } of graph.dispatches) {
    const written = operands[writes];
    if (written && "storage" in written && !written.storage.name) largest = Math.max(largest, written.storage.bytes);
  }
  using plan = freeze(device, graph);
  plan.write("x", gaussian({ seed: 7, rng: "nv", shape })());
  plan.run();
  await device.idle();
  return { y: await plan.read("y"), largest, dispatches: plan.launches.length };
}

function relativeError(found: Float32Array, expected: Float32Array): number {
  strictEqual(found.length, expected.length);
  let errors = 0, squares = 0;
  for (const [i, value] of expected.entries()) {
    errors += (found[i] - value) ** 2;
    squares += value ** 2;
  }
  return Math.sqrt(errors / squares);
}

const tolerance = { f32: 2e-5, f16: 5e-3 };

for (const precision of precisions) {
  for (const [height, width] of [[8, 8], [16, 9], [13, 24]]) {
    for (const bandBytes of [1, 1 << 18]) {
      for (const wraps of [false, true]) {
        const how = `${height}×${width} latents, bands of ${bandBytes} bytes, ${precision}${wraps ? ", tiling" : ""}`;
        Deno.test(`the decoder in bands is the undivided one: ${how}`, async () => {
          const { components: { vae } } = models.get(precision)!;
          await vae.load();
          const decode = (z: Value, options: BandOptions) => vae.network.decode(z, options);
          const whole = await run(precision, [1, height, width, 4], decode, { wraps });
          const banded = await run(precision, [1, height, width, 4], decode, { bandBytes, wraps });
          const error = relativeError(banded.y, whole.y);
          ok(error < tolerance[precision], `${error}`);
          ok(banded.dispatches > whole.dispatches);
          if (bandBytes === 1) ok(banded.largest < whole.largest, `${banded.largest} of ${whole.largest} bytes`);
        });

        Deno.test(`the encoder in bands is the undivided one: ${how}`, async () => {
          const { components: { vae } } = models.get(precision)!;
          await vae.load();
          const shape: [number, number, number, number] = [1, 8 * height, 8 * width, 3];
          const encode = (x: Value, options: BandOptions) => vae.network.encode(x, options);
          const whole = await run(precision, shape, encode, { wraps });
          const banded = await run(precision, shape, encode, { bandBytes, wraps });
          const error = relativeError(banded.y, whole.y);
          ok(error < tolerance[precision], `${error}`);
          if (bandBytes === 1) ok(banded.largest < whole.largest, `${banded.largest} of ${whole.largest} bytes`);
        });
      }
    }
  }
}

Deno.test("a U-Net whose feed-forward takes its rows in parts is the undivided one, and its values keep the bound", async () => {
  const model = models.get("f32")!, { components: { unet }, backend } = model;
  await unet.load();
  const { block_out_channels: [channels], cross_attention_dim } = unet.network.config;
  const predict = async (maxBytes?: number) => {
    const graph = new Graph({ ...backend.target, maxBytes }),
      shape = [2, 16, 16, 4],
      context = [2, 77, cross_attention_dim];
    const sample = graph.input("sample", shape, "f32"), timestep = graph.input("timestep", [1, channels], "f32");
    graph.keep("y", unet.network.forward(sample, timestep, graph.input("context", context, "f32")));
    const written = graph.dispatches.map(({ operands, writes }) => operands[writes]);
    const largest = Math.max(...written.map((value) => value && "storage" in value ? value.storage.bytes : 0));
    using plan = freeze(device, graph);
    for (const [name, shape] of Object.entries({ sample: [2, 4, 16, 16], timestep: [1, 1, 1, channels], context })) {
      plan.write(name, gaussian({ seed: 3, rng: "nv", shape: [shape[0], shape[1], shape[2], shape[3] ?? 1] })());
    }
    plan.run();
    await device.idle();
    return { y: await plan.read("y"), largest };
  };
  // Of the other layers the largest is what an up block reads: three quarters of a feed-forward's.
  const whole = await predict(), bound = 0.75 * whole.largest, parts = await predict(bound);
  ok(parts.largest <= bound, `${parts.largest} of ${whole.largest} bytes`);
  ok(relativeError(parts.y, whole.y) < 1e-5);
});

Deno.test("a stage in bands takes less memory than undivided", () => {
  const model = models.get("f32")!, size = { images: 1, height: 512, width: 512 };
  for (const stage of [recordDecode, recordEncode]) {
    const [whole, large, small] = [undefined, 16 << 20, 1 << 20].map((bandBytes) =>
      needOf(model, size, stage(model, size, { bandBytes })).bytes
    );
    ok(large < whole && small < whole, `${stage.name}: ${whole}, ${large}, ${small} bytes`);
  }
});

Deno.test("a size whose values are larger than the device binds is made in bands, and refused only beyond those", () => {
  const model = models.get("f32")!;
  const side = 1536, size = { images: 1, height: side, width: side };
  const { problem } = needOf(model, size, recordDecode(model, size));
  if (device.maxBinding < 2 ** 28) ok(problem, "it has to be in bands");
  strictEqual(needOf(model, size, recordDecode(model, size, { bandBytes: 64 << 20 })).problem, undefined);
  strictEqual(whyTooLarge(model, 1024, 1024), undefined);
});
