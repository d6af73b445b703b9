import { ok } from "node:assert/strict";
import { openDevice } from "../../src/gpu/device.ts";
import { codeOf, everyKernel, targets } from "./every_kernel.ts";

/** Attention over heads of 512 channels is written out to a megabyte and takes seconds: the tests of the ops run it. */
const longest = 300_000;

Deno.test("every kernel compiles on the device in each way that it can be asked for", async () => {
  using device = await openDevice();
  const lanes = device.subgroupSize ? [0, device.subgroupSize] : [0];
  const kernels = everyKernel(targets(lanes, device));
  ok(kernels.size > 50, `only ${kernels.size} kernels were found`);
  for (const variant of kernels.values()) {
    if (codeOf(variant).length > longest) continue;
    device.pipeline(variant.kernel, variant.constants);
    device.throwIfFailed(); // names the kernel
  }
  await device.idle();
});
