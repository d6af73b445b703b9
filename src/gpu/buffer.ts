/** Bytes to and from the GPU. */
import type { Device } from "./device.ts";

/** Reads part of a buffer. `offset` and `bytes` are multiples of 4. Waits for the GPU: Worker only. */
export async function readBuffer(
  device: Device,
  source: GPUBuffer,
  offset: number,
  bytes: number,
): Promise<ArrayBuffer> {
  const staging = device.memory.buffer("staging", {
    label: "readback",
    size: bytes,
    usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST,
  });
  try {
    const encoder = device.gpu.createCommandEncoder();
    encoder.copyBufferToBuffer(source, offset, staging, 0, bytes);
    device.gpu.queue.submit([encoder.finish()]);
    await staging.mapAsync(GPUMapMode.READ);
    device.throwIfFailed();
    return staging.getMappedRange().slice(0);
  } finally {
    device.memory.free(staging);
  }
}
