import { deepStrictEqual, ok, rejects, strictEqual, throws } from "node:assert/strict";
import { type Device, openDevice } from "../../src/gpu/device.ts";
import { Kernel } from "../../src/gpu/kernel.ts";
import { Timings } from "../../src/gpu/timing.ts";

/** Runs `kernels` under their labels, a pass each. */
function run(device: Device, timings: Timings, kernels: readonly (readonly [label: string, kernel: Kernel])[]): void {
  const encoder = device.gpu.createCommandEncoder();
  for (const [label, kernel] of kernels) {
    const pass = encoder.beginComputePass({ timestampWrites: timings.next(label) });
    pass.setPipeline(device.pipeline(kernel).pipeline);
    pass.dispatchWorkgroups(1);
    pass.end();
  }
  timings.resolve(encoder);
  device.gpu.queue.submit([encoder.finish()]);
}

const nothing = new Kernel("nothing", "@compute @workgroup_size(1) fn main() {}");

Deno.test("timings have a row a label, with how often it ran, longest first", async () => {
  using device = await openDevice();
  if (!device.timestamps) return throws(() => new Timings(device), /has no timestamp queries/);
  using timings = new Timings(device);
  run(device, timings, [["often", nothing], ["once", nothing], ["often", nothing], ["often", nothing]]);
  const rows = await timings.read();
  deepStrictEqual(Object.fromEntries(rows.map(({ label, count }) => [label, count])), { often: 3, once: 1 });
  ok(rows.every(({ ms }) => ms >= 0 && ms < 60_000));
  ok(rows[0].ms >= rows[1].ms);
  await device.idle();
});

Deno.test("dispatches beyond the capacity run untimed", async () => {
  using device = await openDevice();
  if (!device.timestamps) return throws(() => new Timings(device), /has no timestamp queries/);
  using timings = new Timings(device, 2);
  run(device, timings, [["a", nothing], ["b", nothing], ["c", nothing]]);
  deepStrictEqual((await timings.read()).map(({ label }) => label).sort(), ["a", "b"]);
  strictEqual(timings.next("d"), undefined);
  await device.idle();
});

Deno.test("the largest capacity is one that the device takes, and a larger one is its error", async () => {
  using device = await openDevice();
  if (!device.timestamps) return throws(() => new Timings(device), /has no timestamp queries/);
  using _largest = new Timings(device);
  await device.idle();
  await rejects(async () => {
    using _larger = new Timings(device, 2049);
    await device.idle();
  });
});
