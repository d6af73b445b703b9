import { deepStrictEqual, ok, throws } from "node:assert/strict";
import { GpuClock } from "../../src/gpu/clock.ts";
import { type Device, openDevice } from "../../src/gpu/device.ts";
import { Kernel } from "../../src/gpu/kernel.ts";

const nothing = new Kernel("nothing", "@compute @workgroup_size(1) fn main() {}");

/** Submits passes that do nothing, timed as one. */
function submit(device: Device, clock: GpuClock, stage: string, passes = 1): void {
  clock.stage = stage;
  const span = clock.next(), encoder = device.gpu.createCommandEncoder();
  for (let i = 0; i < passes; i++) {
    const last = i === passes - 1;
    const timestampWrites = i === 0 ? span?.begin({ last }) : last ? span?.end() : undefined;
    const pass = encoder.beginComputePass({ timestampWrites });
    pass.setPipeline(device.pipeline(nothing).pipeline);
    pass.dispatchWorkgroups(1);
    pass.end();
  }
  device.gpu.queue.submit([encoder.finish()]);
}

Deno.test("a clock has the GPU's time by stage since it was read last, and holds no memory in between", async () => {
  using device = await openDevice();
  if (!device.timestamps) return throws(() => new GpuClock(device), /has no timestamp queries/);
  const clock = device.clock!, { used } = device.memory;
  deepStrictEqual(await clock.read(), new Map());
  for (const [stage, passes] of [["text", 1], ["step", 3], ["step", 1]] as const) submit(device, clock, stage, passes);
  const times = await clock.read();
  deepStrictEqual([...times.keys()], ["text", "step"]);
  ok([...times.values()].every((ms) => ms >= 0 && ms < 60_000), `${[...times]}`);
  submit(device, clock, "decode");
  deepStrictEqual([...(await clock.read()).keys()], ["decode"]);
  submit(device, clock, "forgotten");
  clock.clear();
  deepStrictEqual(await clock.read(), new Map());
  deepStrictEqual(device.memory.used, used);
  await device.idle();
});

Deno.test("a stage of which not all was timed has no time, rather than too little", async () => {
  using device = await openDevice();
  if (!device.timestamps) return throws(() => new GpuClock(device), /has no timestamp queries/);
  const clock = new GpuClock(device, 2);
  for (const stage of ["text", "step", "step", "decode"]) submit(device, clock, stage);
  deepStrictEqual([...(await clock.read()).keys()], ["text"]);
  submit(device, clock, "step");
  deepStrictEqual([...(await clock.read()).keys()], ["step"]);
  await device.idle();
});
