/** Weights from the checkpoint to the GPU: as stored from the page cache, packed there, in bounded pieces. */
import packedBuffer from "../../kernels/lib/packed_buffer.wgsl" with { type: "text" };
import packedPairs from "../../kernels/lib/packed_pairs.wgsl" with { type: "text" };
import packedTexture from "../../kernels/lib/packed_texture.wgsl" with { type: "text" };
import storedSource from "../../kernels/lib/stored.wgsl" with { type: "text" };
import halvesSource from "../../kernels/repack_halves.wgsl" with { type: "text" };
import matmulSource from "../../kernels/repack_matmul.wgsl" with { type: "text" };
import pairsSource from "../../kernels/repack_pairs.wgsl" with { type: "text" };
import rowsSource from "../../kernels/repack_rows.wgsl" with { type: "text" };
import type { ComponentTensors } from "../checkpoint/component.ts";
import { fitsShape } from "../checkpoint/rename.ts";
import type { Device } from "../gpu/device.ts";
import { type Constants, Kernel, type Pipeline, type ShapeValues, writeShape } from "../gpu/kernel.ts";
import { packsPairs, type Parameter, spread, type Target } from "../graph/graph.ts";
import type { Module } from "../nn/module.ts";
import { WORKGROUP } from "../ops/elementwise.ts";
import { elements, formatShape } from "../tensor/shape.ts";

const kernels = {
  buffer: new Kernel("repack_matmul", storedSource + packedBuffer + matmulSource),
  texture: new Kernel("repack_matmul texture", storedSource + packedTexture + matmulSource),
  halves: new Kernel("repack_halves", halvesSource),
  pairs: new Kernel("repack_pairs", storedSource + packedPairs + pairsSource),
  rows: new Kernel("repack_rows", storedSource + packedBuffer + rowsSource),
  rowsTexture: new Kernel("repack_rows texture", storedSource + packedTexture + rowsSource),
};

/** Stored dtypes that are weights, with what kernels/lib/stored.wgsl calls them and their bytes. */
const storedTypes: Readonly<Record<string, { STORED: number; bytes: number }>> = {
  f32: { STORED: 0, bytes: 4 },
  f16: { STORED: 1, bytes: 2 },
  bf16: { STORED: 2, bytes: 2 },
};

/** Bytes that wait on the GPU to be packed, at most; WebGPU holds a copy of as many for each submit in flight. */
const stagingBytes = 16 << 20;
/** Submits in flight before the host waits: without a wait the staged copies of a whole model pile up. */
const submitsInFlight = 4;
const textureWidth = 1024;

/** Tensors that published files carry and no forward uses. */
const unused = /(^|\.)(position_ids|logit_scale|text_projection(\.weight)?)$|^vision_model\.|^visual_projection\./;

/** A component's tensors do not fit its config; the message lists them. */
export class WeightsError extends Error {
  override name = "WeightsError";
}

/** The GPU memory of one component's parameters. */
export class Weights implements Disposable {
  readonly #resources: (GPUBuffer | GPUTexture)[] = [];
  bytes = 0;

  constructor(readonly device: Device) {}

  buffer(label: string, size: number): GPUBuffer {
    const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC;
    const buffer = this.device.memory.buffer("weights", { label, size, usage });
    this.#resources.push(buffer);
    this.bytes += size;
    return buffer;
  }

  /** A storage texture of whole rows for `texels`. */
  texture(label: string, texels: number, format: WeightFormat): GPUTexture {
    const usage = GPUTextureUsage.STORAGE_BINDING | GPUTextureUsage.COPY_SRC;
    const size = [Math.min(texels, textureWidth), Math.ceil(texels / textureWidth)];
    const bytes = textureBytes(texels, format);
    const texture = this.device.memory.texture("weights", { label, size, format, usage }, bytes);
    this.#resources.push(texture);
    this.bytes += bytes;
    return texture;
  }

  [Symbol.dispose](): void {
    for (const resource of this.#resources.splice(0)) this.device.memory.free(resource);
    this.bytes = 0;
  }
}

/** Of the textures that hold weights: four halves, four floats, or the eight halves of two rows. */
type WeightFormat = "rgba16float" | "rgba32float" | "rgba32uint";

function textureBytes(texels: number, format: WeightFormat): number {
  const width = Math.min(texels, textureWidth);
  return width * Math.ceil(texels / width) * (format === "rgba16float" ? 8 : 16);
}

/** Vec4s of a parameter as it lies on the GPU. */
function packedSize4({ layout, shape }: Parameter): number {
  switch (layout) {
    case "vector":
      return Math.ceil(elements(shape) / 4);
    case "rows":
      return shape[0] * Math.ceil(elements(shape.slice(1)) / 4);
    case "matmul":
      return elements(shape.slice(2)) * Math.ceil(shape[1] / 4) * 4 * Math.ceil(shape[0] / 4);
    default:
      return layout satisfies never;
  }
}

/** Bytes that the parameters of `module` take on the GPU. */
export function weightsBytes(module: Module, target: Target): number {
  const { weightType, weightStorage } = target;
  let bytes = 0;
  for (const [, parameter] of module.parameters()) {
    const size4 = packedSize4(parameter), type = parameter.layout === "vector" ? "f32" : weightType;
    if (packsPairs(parameter, target)) bytes += textureBytes(size4 / 2, "rgba32uint");
    else if (parameter.layout !== "vector" && weightStorage === "texture") {
      bytes += textureBytes(size4, textureFormat(type));
    } else bytes += size4 * (type === "f16" ? 8 : 16);
  }
  return bytes;
}

function textureFormat(type: string): "rgba16float" | "rgba32float" {
  return type === "f16" ? "rgba16float" : "rgba32float";
}

/** Bytes of the staging buffer for `module`, and of the copies that WebGPU holds meanwhile, were all stored in f32. */
function stagingOf(module: Module): { size: number; copies: number } {
  let all = 0, least = 1 << 20;
  for (const [, parameter] of module.parameters()) {
    const bytes = 4 * elements(parameter.shape);
    all += Math.ceil(bytes / 256) * 256;
    least = Math.max(least, Math.min(16 * rowElements(parameter), bytes)); // four rows
  }
  const size = Math.max(least, Math.min(Math.ceil(all / 2048) * 256, stagingBytes));
  return { size, copies: Math.min(all, submitsInFlight * size) };
}

/** Bytes that {@link loadWeights} takes beside the weights while it runs. */
export function stagedBytes(module: Module): number {
  const { size, copies } = stagingOf(module);
  return size + copies + 256 * Uploader.batch;
}

/** A parameter and the tensor that fills it. */
interface Match {
  path: string;
  parameter: Parameter;
  dtype: string;
}

/**
 * Uploads the tensor of every parameter of `module`.
 * @throws {WeightsError} when names, shapes or dtypes of the file are not the model's, listing them.
 */
export async function loadWeights(
  device: Device,
  target: Target,
  module: Module,
  tensors: ComponentTensors,
): Promise<Weights> {
  const matches = matchTensors(module, tensors);
  const weights = new Weights(device);
  try {
    const staging = stagingOf(module);
    using uploader = new Uploader(device, staging);
    for (const { path, parameter, dtype } of matches) {
      const pack = allocate(device, target, parameter, weights, path);
      const rowBytes = rowElements(parameter) * storedTypes[dtype].bytes;
      // Whole groups of four rows: they are whole words and whole texels, and the next piece starts on one.
      const pieceBytes = Math.max(1, Math.floor(staging.size / (4 * rowBytes))) * 4 * rowBytes;
      for (const { offset, bytes } of tensors.pieces(path, pieceBytes)) {
        await uploader.add(pack(dtype, offset / rowBytes, bytes.byteLength / rowBytes), bytes);
      }
    }
    await uploader.finish();
    tensors.release();
    return weights;
  } catch (error) {
    weights[Symbol.dispose]();
    throw error;
  }
}

/** @throws {WeightsError} as {@link loadWeights} does of the same tensors, and reads none of them. */
export function checkWeights(module: Module, tensors: ComponentTensors): void {
  matchTensors(module, tensors);
}

/** Numbers in one row: of a matmul weight all of one output channel, of a vector all there are. */
function rowElements({ shape, layout }: Parameter): number {
  return layout === "vector" ? elements(shape) : elements(shape.slice(1));
}

function matchTensors(module: Module, tensors: ComponentTensors): Match[] {
  const file = tensors.files.map(({ path }) => path).join(", ");
  const problems: string[] = [], matches: Match[] = [], wanted = new Set<string>();
  for (const [path, parameter] of module.parameters()) {
    wanted.add(path);
    const found = tensors.get(path);
    const expected = formatShape(parameter.shape);
    if (!found) problems.push(`${path} ${expected} is missing`);
    else if (!fitsShape(found.shape, parameter.shape)) {
      problems.push(`${path} is ${formatShape(found.shape)}, the model has ${expected}`);
    } else if (!storedTypes[found.dtype]) problems.push(`${path} is ${found.dtype}, and must be f32, f16 or bf16`);
    else matches.push({ path, parameter, dtype: found.dtype });
  }
  for (const name of tensors.names()) {
    if (!wanted.has(name) && !unused.test(name)) problems.push(`${name} is in the file and not in the model`);
  }
  if (problems.length === 0) return matches;
  const more = problems.length > 8 ? `; and ${problems.length - 8} more` : "";
  throw new WeightsError(`Cannot load ${file}: ${problems.slice(0, 8).join("; ")}${more}`);
}

/** Whether a weight that is packed in pairs is moved as it is, by the kernel that is written out for its taps. */
export function movesHalves(dtype: string, taps: number): boolean {
  return dtype === "f16" && (taps === 1 || taps === 9);
}

/** A dispatch that packs one staged piece. */
interface Packing {
  pipeline: Pipeline;
  destination: GPUBindingResource;
  shape: ShapeValues;
  invocations: number;
}

/** Makes the parameter's memory, and says how `rows` staged rows from `row0` on are packed into it. */
function allocate(device: Device, target: Target, parameter: Parameter, weights: Weights, path: string) {
  const { layout, shape } = parameter;
  const rowSize = rowElements(parameter);
  const type = layout === "vector" ? "f32" : target.weightType;
  if (layout === "matmul") {
    const taps = elements(shape.slice(2)), inner = shape[1], in4 = Math.ceil(inner / 4), out4 = Math.ceil(shape[0] / 4);
    const texels = taps * in4 * 4 * out4;
    if (packsPairs(parameter, target)) {
      const resource = parameter.resource = weights.texture(path, texels / 2, "rgba32uint").createView();
      return (dtype: string, row0: number, rows: number): Packing => {
        if (movesHalves(dtype, taps)) {
          const in8 = in4 / 2, size = in8 * Math.ceil(rows / 4);
          return {
            pipeline: device.pipeline(kernels.halves, { TAPS: taps }),
            destination: resource,
            shape: { row0, rows, in8, out4, size },
            invocations: size,
          };
        }
        const size4 = taps * in4 * 2 * Math.ceil(rows / 4);
        return {
          pipeline: device.pipeline(kernels.pairs, { STORED: storedTypes[dtype].STORED }),
          destination: resource,
          shape: { row0, rows, in4, taps, out4, size4 },
          invocations: size4,
        };
      };
    }
    const { kernel, constants, resource } = target.weightStorage === "texture"
      ? textureMemory(type, texels, weights, path, kernels.texture)
      : bufferMemory(device, type, texels, weights, path, kernels.buffer);
    parameter.resource = resource;
    return (dtype: string, row0: number, rows: number): Packing => {
      const size4 = taps * in4 * 4 * Math.ceil(rows / 4);
      return {
        pipeline: device.pipeline(kernel, { ...constants, STORED: storedTypes[dtype].STORED }),
        destination: resource,
        shape: { row0, rows, in: inner, in4, taps, out4, size4 },
        invocations: size4,
      };
    };
  }
  const rows = layout === "vector" ? 1 : shape[0], width4 = Math.ceil(rowSize / 4);
  const { kernel, constants, resource } = layout === "rows" && target.weightStorage === "texture"
    ? textureMemory(type, rows * width4, weights, path, kernels.rowsTexture)
    : bufferMemory(device, type, rows * width4, weights, path, kernels.rows);
  parameter.resource = resource;
  return (dtype: string, row0: number, count: number): Packing => ({
    pipeline: device.pipeline(kernel, { ...constants, STORED: storedTypes[dtype].STORED }),
    destination: resource,
    shape: { row0, width: rowSize, width4, size4: count * width4 },
    invocations: count * width4,
  });
}

interface Memory {
  kernel: Kernel;
  constants: Constants;
  resource: GPUBindingResource;
}

function bufferMemory(
  device: Device,
  type: string,
  size4: number,
  weights: Weights,
  path: string,
  kernel: Kernel,
): Memory {
  const bytes = size4 * (type === "f16" ? 8 : 16);
  if (bytes > device.maxBinding) {
    throw new WeightsError(`Cannot load ${path}: ${bytes} bytes, and this GPU binds ${device.maxBinding} at most`);
  }
  return { kernel, constants: { Weight: type }, resource: { buffer: weights.buffer(path, bytes) } };
}

function textureMemory(type: string, texels: number, weights: Weights, path: string, kernel: Kernel): Memory {
  const format = textureFormat(type), texture = weights.texture(path, texels, format);
  return {
    kernel,
    constants: { Weights: `texture_storage_2d<${format}, write>`, Weight: type },
    resource: texture.createView(),
  };
}

/** Stages pieces and submits their packing in batches of up to `size` bytes. */
class Uploader implements Disposable {
  readonly #device: Device;
  readonly #staging: GPUBuffer;
  readonly #shapes: GPUBuffer;
  #staged = 0;
  #packings: { packing: Packing; offset: number; size: number }[] = [];
  #submits = 0;

  /** Packings of one batch; each has its Shape in 256 bytes, the largest alignment any device asks for. */
  static readonly batch = 64;

  constructor(device: Device, { size, copies }: { size: number; copies: number }) {
    this.#device = device;
    const staged = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST;
    this.#staging = device.memory.buffer("staging", { label: "staging", size, usage: staged }, { copies });
    const usage = GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST;
    this.#shapes = device.memory.buffer("staging", { label: "repack shapes", size: 256 * Uploader.batch, usage });
  }

  async add(packing: Packing, bytes: Uint8Array<ArrayBuffer>): Promise<void> {
    const size = Math.ceil(bytes.byteLength / 4) * 4;
    if (this.#staged + size > this.#staging.size || this.#packings.length === Uploader.batch) {
      // `bytes` stays valid while this waits: the next piece is asked for after.
      await this.#submit();
    }
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

  async finish(): Promise<void> {
    await this.#submit();
    await this.#device.idle();
  }

  async #submit(): Promise<void> {
    if (this.#packings.length === 0) return;
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
    gpu.queue.submit([encoder.finish()]);
    this.#packings = [];
    this.#staged = 0;
    if (++this.#submits % submitsInFlight === 0) await this.#device.idle();
  }

  [Symbol.dispose](): void {
    this.#device.memory.free(this.#staging);
    this.#device.memory.free(this.#shapes);
  }
}
