import { deepStrictEqual, match, ok, rejects, strictEqual, throws } from "node:assert/strict";
import { readBuffer } from "../../src/gpu/buffer.ts";
import { type Device, openDevice } from "../../src/gpu/device.ts";
import { DeviceLostError, GpuOutOfMemoryError, GpuValidationError } from "../../src/gpu/errors.ts";
import { Kernel, writeShape } from "../../src/gpu/kernel.ts";
import { createStorage, freeze } from "../../src/graph/plan.ts";
import { Graph } from "../../src/graph/graph.ts";

const fill = `
const VALUE = 1u;
struct Shape { size: u32, offset: i32, scale: f32 }
@group(0) @binding(0) var<storage, read_write> y: array<u32>;
@group(0) @binding(1) var<uniform> shape: Shape;
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x < shape.size) { y[id.x] = VALUE + u32(shape.offset + 3) + u32(shape.scale); }
}`;

function record(kernel: Kernel, { shape, loops = 0 }: { shape: Record<string, number>; loops?: number }): Graph {
  const graph = new Graph({
    subgroupSize: 0,
    weightStorage: "buffer",
    weightType: "f32",
    operandType: "f32",
    hiddenType: "f32",
  });
  graph.keep(
    "y",
    graph.record(kernel, { shape: [100], dtype: "u32" }, { operands: {}, shape, workgroups: [2], loops }),
  );
  return graph;
}

async function runOnce(device: Device, kernel: Kernel, shape: Record<string, number>): Promise<Uint32Array> {
  using plan = freeze(device, record(kernel, { shape }));
  plan.run();
  return new Uint32Array(await readBuffer(device, plan.buffer("y"), 0, 400));
}

Deno.test("a plan runs a kernel, and every field of its Shape arrives as what it is", async () => {
  using device = await openDevice();
  const found = await runOnce(device, new Kernel("fill", fill), { size: 99, offset: -2, scale: 5.5 });
  deepStrictEqual([...found], [...new Array(99).fill(1 + 1 + 5), 0]);
});

Deno.test("a pipeline is compiled once for each choice of constants", async () => {
  using device = await openDevice();
  const kernel = new Kernel("fill", fill);
  const first = device.pipeline(kernel, { VALUE: 1 });
  strictEqual(device.pipeline(kernel, { VALUE: 1 }), first);
  ok(device.pipeline(kernel, { VALUE: 2 }) !== first);
  strictEqual(device.pipelineCount, 2);
});

Deno.test("a kernel that is no WGSL surfaces as a GpuValidationError that names it", async () => {
  using device = await openDevice();
  const broken = new Kernel("broken_kernel", fill.replace("y[id.x]", "z[id.x]"));
  await rejects(runOnce(device, broken, { size: 1, offset: 0, scale: 0 }), (error) => {
    ok(error instanceof GpuValidationError);
    ok(error.message.includes("broken_kernel"), error.message);
    return true;
  });
});

Deno.test("an error is reported once, and the device works on", async () => {
  using device = await openDevice();
  device.pipeline(new Kernel("broken_kernel", "fn main() {"));
  await rejects(device.idle(), GpuValidationError);
  device.throwIfFailed();
  const found = await runOnce(device, new Kernel("fill", fill), { size: 1, offset: -3, scale: 0 });
  strictEqual(found[0], 1);
});

Deno.test("what WebGPU refuses at run time surfaces too, with the first sentence of its reason", async () => {
  using device = await openDevice();
  const buffer = device.gpu.createBuffer({ size: 16, usage: GPUBufferUsage.COPY_DST });
  device.gpu.queue.writeBuffer(buffer, 12, new Uint8Array(8)); // past the end
  await rejects(device.idle(), (error) => {
    ok(error instanceof GpuValidationError && !error.message.includes("\n\n"), String(error));
    return true;
  });
});

Deno.test("a Shape whose names are not the kernel's is refused, naming them", async () => {
  using device = await openDevice();
  const pipeline = device.pipeline(new Kernel("fill", fill));
  const target = new DataView(new ArrayBuffer(16));
  throws(() => writeShape(pipeline, { size: 1, offset: 0, scales: 1 }, target, 0), {
    name: "GpuValidationError",
    message: /^fill.*: Shape lacks \[scales\] or has no value for \[scale\]$/,
  });
});

Deno.test("a destroyed device is lost: whoever waits hears it, and every later call throws a DeviceLostError", async () => {
  const device = await openDevice();
  device.gpu.destroy();
  const lost = await device.lost;
  ok(lost instanceof DeviceLostError);
  throws(() => device.throwIfFailed(), DeviceLostError);
  throws(() => device.throwIfFailed(), DeviceLostError, "and not only once");
  await rejects(device.idle(), DeviceLostError);
});

Deno.test("a GPU that is not there is refused with the list of those that are", async () => {
  using device = await openDevice();
  await rejects(openDevice({ gpu: "no such card" }), (error) => {
    ok(error instanceof Error && error.message.startsWith('No GPU matches "no such card": found 0 "'), String(error));
    ok(error.message.includes(`"${device.name}"`), error.message);
    return true;
  });
  await rejects(openDevice({ gpu: "99" }), /^Error: No GPU matches "99": found 0 "/);
});

Deno.test("a GPU can be asked for by its index or by part of its name, in any case", async () => {
  using device = await openDevice();
  using first = await openDevice({ gpu: "0" });
  strictEqual(first.name, device.name);
  using named = await openDevice({ gpu: device.name.slice(0, 5).toUpperCase() });
  strictEqual(named.name, device.name);
});

Deno.test("where OpenGL's is the only adapter there is none", async () => {
  const open = `
    import { openDevice } from ${JSON.stringify(import.meta.resolve("../../src/gpu/device.ts"))};
    try { using device = await openDevice(); console.log(device.name); } catch ({ message }) { console.log(message); }`;
  // Vulkan's loader finds no driver: what is left, where anything is, is OpenGL.
  const env = { ...Deno.env.toObject(), VK_ICD_FILENAMES: "/dev/null", VK_DRIVER_FILES: "/dev/null" };
  delete (env as Record<string, string>).DENO_WEBGPU_BACKEND; // set by now for this process
  const { stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["eval", "--ext=ts", open],
    clearEnv: true,
    env,
  }).output();
  match(new TextDecoder().decode(stdout), /^No GPU adapter was found: install a Vulkan driver/);
});

Deno.test("options forbid paths: no subgroups, weights where they are asked for", async () => {
  using device = await openDevice({ subgroups: false, weightStorage: "texture" });
  deepStrictEqual([device.subgroupSize, device.weightStorage], [0, "texture"]);
  using plain = await openDevice({ subgroups: false });
  strictEqual(plain.weightStorage, "buffer");
});

Deno.test("a value larger than the device binds is refused before anything is allocated", async () => {
  using device = await openDevice();
  const bytes = device.maxBinding + 16;
  throws(() => createStorage(device, "image", bytes), {
    message: `Cannot allocate image: ${bytes} bytes, and this GPU binds ${device.maxBinding} at most`,
  });
});

Deno.test("an out-of-memory error keeps its kind", async () => {
  using device = await openDevice();
  const event = new GPUUncapturedErrorEvent("uncapturederror", { error: new GPUOutOfMemoryError("Not enough memory") });
  device.gpu.dispatchEvent(event);
  throws(() => device.throwIfFailed(), (error) => error instanceof GpuOutOfMemoryError);
});

Deno.test("of several errors the first is thrown, not the last: the others follow from it", async () => {
  using device = await openDevice();
  for (const name of ["first_kernel", "second_kernel"]) device.pipeline(new Kernel(name, "fn main() {"));
  await rejects(device.idle(), /first_kernel/);
  await device.idle();
});

Deno.test("reading a buffer that cannot be read is an error that names it, not zeros", async () => {
  using device = await openDevice();
  const buffer = device.gpu.createBuffer({ label: "unreadable", size: 16, usage: GPUBufferUsage.STORAGE });
  await rejects(readBuffer(device, buffer, 0, 16), { name: "GpuValidationError", message: /unreadable/ });
});
