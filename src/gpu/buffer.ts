/** Bytes to and from the GPU. */
import type { Device } from "./device.ts";

/**
 * Reads part of a buffer, once all that was submitted and what `record` records has run. `offset` and `bytes` are multiples
 * of 4. Waits for the GPU: Worker only.
 */
export async function readBuffer(
  device: Device,
  source: GPUBuffer,
  offset: number,
  bytes: number,
  record?: (encoder: GPUCommandEncoder) => void,
): Promise<ArrayBuffer> {
  const staging = device.memory.buffer("staging", {
    label: "readback",
    size: bytes,
    usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST,
  });
  try {
    const encoder = device.gpu.createCommandEncoder();
    record?.(encoder);
    encoder.copyBufferToBuffer(source, offset, staging, 0, bytes);
    device.gpu.queue.submit([encoder.finish()]);
    await staging.mapAsync(GPUMapMode.READ);
    device.throwIfFailed();
    return staging.getMappedRange().slice(0);
  } finally {
    device.memory.free(staging);
  }
}
