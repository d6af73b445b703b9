import { ok } from "node:assert/strict";
import { openDevice } from "../../src/gpu/device.ts";
import { everyKernel, targets } from "./every_kernel.ts";

Deno.test("every kernel compiles on the device in each way that it can be asked for", async () => {
  using device = await openDevice();
  const lanes = device.subgroupSize ? [0, device.subgroupSize] : [0];
  const kernels = everyKernel(targets(lanes, device));
  ok(kernels.size > 50, `only ${kernels.size} kernels were found`);
  for (const { kernel, constants } of kernels.values()) {
    device.pipeline(kernel, constants);
    device.throwIfFailed(); // names the kernel
  }
  await device.idle();
});

Deno.test("a kernel is compiled once for each choice of constants", async () => {
  using device = await openDevice();
  const [{ kernel, constants }] = everyKernel(targets([0], { f16: false })).values();
  const pipeline = device.pipeline(kernel, constants);
  ok(device.pipeline(kernel, { ...constants }) === pipeline);
  ok(device.pipelineCount === 1);
});
