/** What a device can do at most, measured: operations of arithmetic alone, bytes of copying alone. */
import { readBuffer } from "../../gpu/buffer.ts";
import type { Device } from "../../gpu/device.ts";
import { Kernel, writeShape } from "../../gpu/kernel.ts";
import source from "./roofline.wgsl" with { type: "text" };
import { median, timed } from "./measure.ts";

const kernel = new Kernel("roofline", source);
const WORKGROUP = 64;
/** Operations of one vec4 in the arithmetic part: 512 rounds of six multiplications and additions of four numbers. */
const FLOPS = 512 * 6 * 4 * 2;
const STORAGE = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST;

/** 10⁹ operations and 10⁹ bytes a second. */
export interface Roofline {
  gflops: number;
  gbytes: number;
}

/** What one part computes of `values` [4 · n], and how long it takes in milliseconds: the median of `runs`. */
export async function runPart(
  device: Device,
  part: 0 | 1,
  values: Float32Array<ArrayBuffer>,
  { runs, m, c }: { runs: number; m: number; c: number },
): Promise<{ ms: number; result: Float32Array }> {
  const size4 = values.length / 4, groups = Math.ceil(size4 / WORKGROUP);
  const pipeline = device.pipeline(kernel, { PART: part });
  const shapes = new DataView(new ArrayBuffer(16));
  writeShape(pipeline, { size4, m, c }, shapes, 0);
  const buffer = (size: number, usage: number) => device.memory.buffer("named", { label: "roofline", size, usage });
  const x = buffer(values.byteLength, STORAGE), y = buffer(values.byteLength, STORAGE);
  const shape = buffer(16, GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST);
  try {
    device.gpu.queue.writeBuffer(x, 0, values);
    device.gpu.queue.writeBuffer(shape, 0, shapes.buffer);
    const entries = [x, y, shape].map((buffer, binding) => ({ binding, resource: { buffer } }));
    const bindGroup = device.gpu.createBindGroup({ layout: pipeline.layout, entries });
    const run = async () => {
      const encoder = device.gpu.createCommandEncoder(), pass = encoder.beginComputePass();
      pass.setPipeline(pipeline.pipeline);
      pass.setBindGroup(0, bindGroup);
      pass.dispatchWorkgroups(Math.min(groups, 65535), Math.ceil(groups / 65535));
      pass.end();
      device.gpu.queue.submit([encoder.finish()]);
      await device.idle();
    };
    await run(); // compiles
    const times: number[] = [];
    for (let i = 0; i < runs; i++) times.push(await timed(run));
    return { ms: median(times), result: new Float32Array(await readBuffer(device, y, 0, values.byteLength)) };
  } finally {
    for (const each of [x, y, shape]) device.memory.free(each);
  }
}

/** The device's roofline in f32, with inputs that take long enough for a wait not to count. */
export async function measureRoofline(device: Device): Promise<Roofline> {
  // A software driver does some 10¹⁰ operations a second, a GPU a thousand times as many.
  const arithmetic = new Float32Array(4 * (device.software ? 1 << 17 : 1 << 22)).fill(0.5);
  const memory = new Float32Array(Math.min(1 << 25, device.maxBinding / 4)).fill(1);
  const { ms } = await runPart(device, 0, arithmetic, { runs: 5, m: 0.5, c: 0.25 });
  const copy = await runPart(device, 1, memory, { runs: 5, m: 0, c: 0 });
  return { gflops: FLOPS * arithmetic.length / 4 / ms / 1e6, gbytes: 2 * memory.byteLength / copy.ms / 1e6 };
}
