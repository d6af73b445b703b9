/** The way of weights to the device: staged there and packed by kernels, or textures filled whole. */
import type { Device } from "../gpu/device.ts";
import { type Pipeline, type ShapeValues, writeShape } from "../gpu/kernel.ts";
import { spread, type Target } from "../graph/graph.ts";
import type { Module } from "../nn/module.ts";
import { WORKGROUP } from "../ops/elementwise.ts";
import { elements } from "../tensor/shape.ts";
import { fillsTexture, parameterBytes, rowElements } from "./weights.ts";

/** Bytes of a batch, at most, where no single texture has more: what waits on the GPU to be packed, and textures. */
const batchBytes = 16 << 20;

/** What an upload takes beside the weights. */
export interface Staging {
  /** Bytes of a batch, and of the buffer that kernels pack from. */
  size: number;
  /** Bytes that the host puts together of one texture, at most. */
  packed: number;
  /** Bytes that WebGPU holds of what is on its way, at most: without a bound it would be a whole model's. */
  copies: number;
}

/** What it takes to load `module`, in whichever types it is stored. */
export function stagingOf(module: Module, target: Target): Staging {
  let all = 0, least = 1 << 20, tables = 0;
  const textures: number[] = []; // that are written at once
  for (const [, parameter] of module.parameters()) {
    const bytes = 4 * elements(parameter.shape);
    all += Math.ceil(bytes / 256) * 256;
    least = Math.max(least, Math.min(16 * rowElements(parameter), bytes)); // four rows
    if (!fillsTexture(parameter, target)) continue;
    if (parameter.layout !== "rows") textures.push(parameterBytes(parameter, target));
    else tables = Math.max(tables, parameterBytes(parameter, target));
  }
  const size = Math.max(least, Math.min(Math.ceil(all / 2048) * 256, batchBytes));
  const [first = 0, second = 0] = textures.sort((a, b) => b - a), packed = Math.max(first, Math.min(size, tables));
  // Two batches, the second in the making: what is less than one, and a texture more.
  return { size, packed, copies: Math.min(all, Math.max(4 * size, 2 * size + first + second)) };
}

/** A dispatch that packs one staged piece. */
export interface Packing {
  pipeline: Pipeline;
  destination: GPUBindingResource;
  shape: ShapeValues;
  invocations: number;
}

/** Stages pieces and writes textures in batches, and submits each while the next is put together. */
export class Uploader implements Disposable {
  readonly #device: Device;
  readonly #copies: number;
  readonly #alive: () => void;
  readonly #staging: GPUBuffer;
  readonly #shapes: GPUBuffer;
  readonly #packed: Uint32Array<ArrayBuffer>;
  /** Where the next piece goes in the staging buffer, and what is in it to be packed. */
  #staged = 0;
  #packings: { packing: Packing; offset: number; size: number }[] = [];
  /** Bytes of which WebGPU may hold copies: in all, of the batch that is put together, of the one last submitted. */
  #held = 0;
  #batch = 0;
  #submitted = 0;
  /** Batches before those, and when they are gone. */
  readonly #leaving: { bytes: number; gone: Promise<void> }[] = [];

  /** Packings of one batch; each has its Shape in 256 bytes, the largest alignment any device asks for. */
  static readonly batch = 64;

  /** `alive` is called whenever a batch is submitted. */
  constructor(device: Device, { size, packed, copies }: Staging, { alive = () => {} }: { alive?: () => void } = {}) {
    this.#device = device;
    this.#copies = copies;
    this.#alive = alive;
    this.#packed = new Uint32Array(packed / 4); // its memory comes when it is written to
    const staged = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST, held = { copies: copies + packed };
    this.#staging = device.memory.buffer("staging", { label: "staging", size, usage: staged }, held);
    const usage = GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST;
    this.#shapes = device.memory.buffer("staging", { label: "repack shapes", size: 256 * Uploader.batch, usage });
  }

  /** Stages `bytes` for a kernel to pack. They are read before this resolves. */
  async add(packing: Packing, bytes: Uint8Array<ArrayBuffer>): Promise<void> {
    const size = Math.ceil(bytes.byteLength / 4) * 4;
    const most = this.#staging.size;
    if (this.#staged + size > most || this.#batch + size > most || this.#packings.length === Uploader.batch) {
      this.#submit();
    }
    await this.#hold(size);
    const whole = bytes.byteLength - bytes.byteLength % 4;
    this.#device.gpu.queue.writeBuffer(this.#staging, this.#staged, bytes, 0, whole);
    if (size > whole) {
      const tail = new Uint8Array(4);
      tail.set(bytes.subarray(whole));
      this.#device.gpu.queue.writeBuffer(this.#staging, this.#staged + whole, tail);
    }
    this.#packings.push({ packing, offset: this.#staged, size });
    this.#staged = Math.ceil((this.#staged + size) / 256) * 256;
  }

  /** Memory for texels that are put together, used again once they are written. */
  words(count: number): Uint32Array<ArrayBuffer> {
    return this.#packed.subarray(0, count);
  }

  /** Writes the start of a buffer. The numbers are read before this resolves. */
  async writeBuffer(buffer: GPUBuffer, numbers: Float32Array<ArrayBuffer>): Promise<void> {
    await this.#hold(numbers.byteLength);
    this.#device.gpu.queue.writeBuffer(buffer, 0, numbers);
  }

  /**
   * Writes rows of a texture from `top` on; all of them at once where it can be: one that is written in parts is cleared
   * first. The texels are read before this resolves.
   */
  async write(
    texture: GPUTexture,
    texels: Uint32Array<ArrayBuffer> | Uint8Array<ArrayBuffer>,
    { top = 0, rows = texture.height } = {},
  ): Promise<void> {
    await this.#hold(texels.byteLength);
    const layout = { bytesPerRow: texels.byteLength / rows, rowsPerImage: rows }, size = [texture.width, rows];
    this.#device.gpu.queue.writeTexture({ texture, origin: [0, top] }, texels, layout, size);
    if (this.#batch >= this.#staging.size) this.#submit();
  }

  async finish(): Promise<void> {
    this.#submit();
    for (const { gone } of this.#leaving) await gone;
    await this.#device.idle();
  }

  /** Waits until WebGPU has room for copies of so many bytes more. */
  async #hold(bytes: number): Promise<void> {
    while (this.#held + bytes > this.#copies && this.#leaving.length > 0) {
      const batch = this.#leaving.shift()!;
      await batch.gone;
      this.#held -= batch.bytes;
    }
    this.#held += bytes;
    this.#batch += bytes;
  }

  #submit(): void {
    const { gpu } = this.#device;
    // Whether all before this batch is done is asked now and awaited when the room is needed: Deno takes 12 ms to answer.
    const gone = this.#device.idle();
    gone.catch(() => {}); // awaited later, or never where something else failed first
    this.#leaving.push({ bytes: this.#submitted, gone });
    gpu.queue.submit(this.#packings.length > 0 ? [this.#encode()] : []);
    this.#packings = [];
    this.#submitted = this.#batch;
    this.#staged = this.#batch = 0;
    this.#alive();
  }

  #encode(): GPUCommandBuffer {
    const { gpu } = this.#device;
    const shapes = new DataView(new ArrayBuffer(256 * this.#packings.length));
    for (const [i, { packing }] of this.#packings.entries()) {
      writeShape(packing.pipeline, packing.shape, shapes, 256 * i);
    }
    gpu.queue.writeBuffer(this.#shapes, 0, shapes.buffer);
    const encoder = gpu.createCommandEncoder();
    const pass = encoder.beginComputePass();
    for (const [i, { packing, offset, size }] of this.#packings.entries()) {
      const { pipeline, layout } = packing.pipeline;
      pass.setPipeline(pipeline);
      pass.setBindGroup(
        0,
        gpu.createBindGroup({
          layout,
          entries: [
            { binding: 0, resource: { buffer: this.#staging, offset, size } },
            { binding: 1, resource: packing.destination },
            { binding: 2, resource: { buffer: this.#shapes, offset: 256 * i, size: 32 } },
          ],
        }),
      );
      pass.dispatchWorkgroups(...spread(Math.ceil(packing.invocations / WORKGROUP)));
    }
    pass.end();
    return encoder.finish();
  }

  [Symbol.dispose](): void {
    this.#packed.buffer.transfer(0); // now, not when garbage is collected
    this.#device.memory.free(this.#staging);
    this.#device.memory.free(this.#shapes);
  }
}
