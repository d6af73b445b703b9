import { deepStrictEqual, match, ok, rejects, strictEqual, throws } from "node:assert/strict";
import { openDevice } from "../../src/gpu/device.ts";
import { DeviceLostError, GpuValidationError } from "../../src/gpu/errors.ts";
import { Kernel, writeShape } from "../../src/gpu/kernel.ts";
import { readBuffer } from "../../src/gpu/buffer.ts";

Deno.test("an invalid kernel is a GpuValidationError that names it, once, and the device serves on", async () => {
  using device = await openDevice();
  device.pipeline(new Kernel("broken", "@compute @workgroup_size(1) fn main() { let x: u32 = 1.5; }"));
  await rejects(device.idle(), (error) => {
    ok(error instanceof GpuValidationError);
    match(error.message, /broken[^]*u32/);
    return true;
  });
  await device.idle();
});

Deno.test("of several errors the first is thrown, not the last: the others follow from it", async () => {
  using device = await openDevice();
  for (const name of ["first", "second"]) {
    device.pipeline(new Kernel(name, "@compute @workgroup_size(1) fn main() { y }"));
  }
  await rejects(device.idle(), /first/);
});

Deno.test("an invalid use of a buffer is a GpuValidationError that names it", async () => {
  using device = await openDevice();
  const buffer = device.gpu.createBuffer({ label: "read only", size: 16, usage: GPUBufferUsage.STORAGE });
  device.gpu.queue.writeBuffer(buffer, 0, new Uint8Array(16));
  await rejects(device.idle(), { name: "GpuValidationError", message: /read only/ });
  await rejects(readBuffer(device, buffer, 0, 16), { name: "GpuValidationError", message: /read only/ });
});

Deno.test("a buffer larger than the device has is an error, not an empty buffer", async () => {
  using device = await openDevice();
  device.gpu.createBuffer({ size: 2 ** 45, usage: GPUBufferUsage.STORAGE });
  await rejects(device.idle(), /^Gpu(Validation|OutOfMemory)Error/);
});

Deno.test("a destroyed device is a DeviceLostError, again and again", async () => {
  const device = await openDevice();
  device.gpu.destroy();
  await rejects(
    device.idle(),
    (error) => error instanceof DeviceLostError && /was lost \(destroyed\)/.test(error.message),
  );
  const lost = await device.lost;
  throws(() => device.throwIfFailed(), lost);
  await rejects(device.idle(), lost);
});

Deno.test("an adapter's index or a part of its name in any case opens it; another name lists what was found", async () => {
  using first = await openDevice({ gpu: "0" });
  using byName = await openDevice({ gpu: first.name.slice(1, 8).toUpperCase() });
  strictEqual(byName.name, first.name);
  using unnamed = await openDevice({ gpu: "" });
  strictEqual(unnamed.name, first.name);
  for (const gpu of ["zebra", "9"]) {
    await rejects(openDevice({ gpu }), (error: Error) => {
      strictEqual(error.message.split(": found ")[0], `No GPU matches "${gpu}"`);
      ok(error.message.includes(`0 "${first.name}"`), error.message);
      return true;
    });
  }
});

Deno.test("a device without subgroups is one that no kernel may use them on", async () => {
  using device = await openDevice({ subgroups: false });
  deepStrictEqual([device.subgroupSize, device.weightStorage], [0, "buffer"]);
});

Deno.test("a Shape is written field by field in its types, and needs each field's value and no other", async () => {
  using device = await openDevice();
  const code = "struct Shape { a: u32, b: f32, c: i32 }\n@group(0) @binding(0) var<uniform> shape: Shape;\n" +
    "@compute @workgroup_size(1) fn main() { _ = shape.a; }";
  const pipeline = device.pipeline(new Kernel("shaped", code));
  await device.idle();
  const view = new DataView(new ArrayBuffer(16));
  writeShape(pipeline, { c: -2, a: 4_000_000_000, b: 0.5 }, view, 4);
  deepStrictEqual([view.getUint32(4, true), view.getFloat32(8, true), view.getInt32(12, true)], [
    4_000_000_000,
    0.5,
    -2,
  ]);
  const message = "shaped : Shape lacks [d] or has no value for [b,c]";
  throws(() => writeShape(pipeline, { a: 1, d: 1 }, view, 0), { name: "GpuValidationError", message });
});
