/// <reference lib="deno.worker" />
/**
 * The engine's own Worker on a device that fails when it is told to: `lose`, `hang` or `crash`, on the channel `faults`.
 */
import "../../src/engine/worker.ts";

const devices: GPUDevice[] = [];
const { requestDevice } = GPUAdapter.prototype;
GPUAdapter.prototype.requestDevice = async function (...args) {
  const device = await requestDevice.apply(this, args);
  devices.push(device);
  return device;
};

/** Dispatches that keep a software driver busy for some ten seconds: so long a wait for the device does not end. */
function hang(device: GPUDevice): void {
  const code = `@group(0) @binding(0) var<storage, read_write> x: array<f32, 64>;
    @compute @workgroup_size(64) fn main(@builtin(local_invocation_index) i: u32) {
      for (var round = 0u; round < 60000u; round++) { x[i] = sin(x[i]) + 1.0; }
    }`;
  const module = device.createShaderModule({ code });
  const pipeline = device.createComputePipeline({ layout: "auto", compute: { module, entryPoint: "main" } });
  const buffer = device.createBuffer({ size: 256, usage: GPUBufferUsage.STORAGE });
  const layout = pipeline.getBindGroupLayout(0);
  const group = device.createBindGroup({ layout, entries: [{ binding: 0, resource: { buffer } }] });
  const encoder = device.createCommandEncoder(), pass = encoder.beginComputePass();
  pass.setPipeline(pipeline);
  pass.setBindGroup(0, group);
  for (let i = 0; i < 40; i++) pass.dispatchWorkgroups(40);
  pass.end();
  device.queue.submit([encoder.finish()]);
}

const channel = new BroadcastChannel("faults");
channel.onmessage = ({ data }: MessageEvent<"lose" | "hang" | "crash">) => {
  const device = devices.at(-1)!;
  if (data === "lose") device.destroy();
  else if (data === "hang") hang(device);
  else throw new Error("The Worker was told to fail");
};
