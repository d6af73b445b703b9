/** Weights from the checkpoint to the GPU: as stored from the page cache, packed by whichever is faster, in bounded pieces. */
import packedColumn from "../../kernels/lib/packed_column.wgsl" with { type: "text" };
import packedBuffer from "../../kernels/lib/packed_buffer.wgsl" with { type: "text" };
import packedPairs from "../../kernels/lib/packed_pairs.wgsl" with { type: "text" };
import packedTexture from "../../kernels/lib/packed_texture.wgsl" with { type: "text" };
import storedSource from "../../kernels/lib/stored.wgsl" with { type: "text" };
import matmulSource from "../../kernels/repack_matmul.wgsl" with { type: "text" };
import pairsSource from "../../kernels/repack_pairs.wgsl" with { type: "text" };
import rowsSource from "../../kernels/repack_rows.wgsl" with { type: "text" };
import winogradSource from "../../kernels/repack_winograd.wgsl" with { type: "text" };
import type { Piece } from "../checkpoint/bytes.ts";
import type { ComponentTensors } from "../checkpoint/component.ts";
import { fitsShape } from "../checkpoint/rename.ts";
import type { Device } from "../gpu/device.ts";
import { type Constants, Kernel } from "../gpu/kernel.ts";
import { isMatmulWeight, packsPairs, type Parameter, takesWinograd, type Target } from "../graph/graph.ts";
import type { Module } from "../nn/module.ts";
import { elements, formatShape } from "../tensor/shape.ts";
import { packFloats, packPairs } from "./pack.ts";
import { type Packing, stagingOf, Uploader } from "./upload.ts";
import {
  fillsTexture,
  packedSize4,
  parameterBytes,
  rowElements,
  textureFormat,
  Weights,
  winogradTexels,
} from "./weights.ts";

const kernels = {
  buffer: new Kernel("repack_matmul", storedSource + packedColumn + packedBuffer + matmulSource),
  texture: new Kernel("repack_matmul texture", storedSource + packedColumn + packedTexture + matmulSource),
  pairs: new Kernel("repack_pairs", storedSource + packedColumn + packedPairs + pairsSource),
  rows: new Kernel("repack_rows", storedSource + packedBuffer + rowsSource),
  rowsTexture: new Kernel("repack_rows texture", storedSource + packedTexture + rowsSource),
  winograd: new Kernel("repack_winograd", storedSource + packedPairs + winogradSource),
};

/** Stored dtypes that are weights, with what kernels/lib/stored.wgsl calls them and their bytes. */
const storedTypes: Readonly<Record<string, { STORED: number; bytes: number }>> = {
  f32: { STORED: 0, bytes: 4 },
  f16: { STORED: 1, bytes: 2 },
  bf16: { STORED: 2, bytes: 2 },
};

/** Tensors that published files carry and no forward uses. */
const unused = /(^|\.)(position_ids|logit_scale|text_projection(\.weight)?)$|^vision_model\.|^visual_projection\./;

/** A component's tensors do not fit its config; the message lists them. */
export class WeightsError extends Error {
  override name = "WeightsError";
}

/** Bytes that {@link loadWeights} takes beside the weights while it runs. */
export function stagedBytes(module: Module, target: Target): number {
  const { size, packed, copies } = stagingOf(module, target);
  return size + packed + copies + 256 * Uploader.batch;
}

/** A parameter and the tensor that fills it. */
interface Match {
  path: string;
  parameter: Parameter;
  dtype: string;
}

/**
 * Uploads the tensor of every parameter of `module`. `alive` is called whenever a batch is on its way: a slow disk is no
 * device that hangs.
 * @throws {WeightsError} when names, shapes or dtypes of the file are not the model's, listing them.
 */
export async function loadWeights(
  device: Device,
  target: Target,
  module: Module,
  tensors: ComponentTensors,
  { alive }: { alive?: () => void } = {},
): Promise<Weights> {
  const matches = matchTensors(module, tensors);
  const weights = new Weights(device);
  try {
    const staging = stagingOf(module, target);
    using uploader = new Uploader(device, staging, { alive });
    for (const { path, parameter, dtype } of matches) {
      if (parameter.layout === "vector") {
        const buffer = bufferOf(device, parameterBytes(parameter, target), weights, path);
        parameter.resource = { buffer };
        await uploader.writeBuffer(buffer, tensors.floats(path));
        continue;
      }
      const { texture, pack } = allocate(device, target, parameter, weights, path);
      if (texture && dtype === "f16" && fillsTexture(parameter, target)) {
        const pieces = (bytes: number) => tensors.pieces(path, bytes);
        if (parameter.layout !== "rows") await fillWeight(texture, parameter, pieces, uploader);
        else await fillTable(texture, pieces, uploader, staging.size);
        continue;
      }
      const rowBytes = rowElements(parameter) * storedTypes[dtype].bytes;
      // Four rows are whole words and whole texels, and the next piece starts on one.
      for (const { offset, bytes } of tensors.pieces(path, wholeRows(rowBytes, staging.size))) {
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

/** The memory of all parameters of `module` with nothing in it: to measure what layers take. */
export function reserveWeights(device: Device, target: Target, module: Module): Weights {
  const weights = new Weights(device);
  for (const [path, parameter] of module.parameters()) {
    if (parameter.layout !== "vector") allocate(device, target, parameter, weights, path);
    else parameter.resource = { buffer: bufferOf(device, parameterBytes(parameter, target), weights, path) };
  }
  return weights;
}

/** @throws {WeightsError} as {@link loadWeights} does of the same tensors, and reads none of them. */
export function checkWeights(module: Module, tensors: ComponentTensors): void {
  matchTensors(module, tensors);
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

/** Bytes of whole groups of `rows` rows, as many as fit into `most`, one at least. */
function wholeRows(rowBytes: number, most: number, rows = 4): number {
  return Math.max(1, Math.floor(most / (rows * rowBytes))) * rows * rowBytes;
}

/** Bytes of a weight that are packed at once: a file that is not mapped is read into memory of as many. */
const packedPiece = 4 << 20;

type Pieces = (maxBytes: number) => Iterable<Piece>;

/** Fills the texture of a matmul weight that is stored in f16. */
async function fillWeight(
  texture: GPUTexture,
  { shape, layout }: Parameter,
  pieces: Pieces,
  uploader: Uploader,
): Promise<void> {
  const [out, inner] = shape,
    out4 = Math.ceil(out / 4),
    isGated = layout === "gated",
    taps = elements(shape.slice(2)),
    rowBytes = 2 * inner * taps;
  const words = uploader.words(4 * texture.width * texture.height);
  const floats = new Float32Array(words.buffer, 0, words.length);
  for (const { offset, bytes: { buffer, byteOffset, byteLength } } of pieces(wholeRows(rowBytes, packedPiece))) {
    const rows = { row0: offset / rowBytes, rows: byteLength / rowBytes, inner, taps, out4, isGated };
    if (texture.format === "rgba32float") {
      packFloats(new Float16Array(buffer, byteOffset, byteLength / 2), floats, rows);
    } else packPairs(new Uint16Array(buffer, byteOffset, byteLength / 2), words, rows);
  }
  await uploader.write(texture, words);
}

/** Fills the texture of a table that is stored in f16 and has whole rows of texels, a batch at a time. */
async function fillTable(texture: GPUTexture, pieces: Pieces, uploader: Uploader, most: number): Promise<void> {
  const rowBytes = 8 * texture.width; // as stored
  for (const { offset, bytes } of pieces(wholeRows(rowBytes, most / 2, 1))) {
    const place = { top: offset / rowBytes, rows: bytes.byteLength / rowBytes };
    if (texture.format === "rgba16float") {
      await uploader.write(texture, bytes, place);
      continue;
    }
    const halves = new Float16Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 2);
    const words = uploader.words(halves.length);
    new Float32Array(words.buffer, 0, words.length).set(halves);
    await uploader.write(texture, words, place);
  }
}

/** The memory of a parameter. */
interface Place {
  /** The texture that it lies in, if it does. */
  texture?: GPUTexture;
  /** How kernels pack `rows` staged rows from `row0` on into it. */
  pack: (dtype: string, row0: number, rows: number) => Packing;
}

/** Makes the memory of a matmul weight or a table. */
function allocate(device: Device, target: Target, parameter: Parameter, weights: Weights, path: string): Place {
  const { layout, shape } = parameter, GATED = layout === "gated" ? 1 : 0;
  const rowSize = rowElements(parameter), type = target.weightType;
  if (takesWinograd(parameter, target)) {
    const [out, inner] = shape, in4 = inner / 4, out4 = out / 4;
    const texture = weights.texture(path, winogradTexels(parameter), "rgba32uint");
    const destination = parameter.resource = texture.createView();
    const pack = (dtype: string, row0: number, rows: number): Packing => {
      const size = inner / 2 * Math.ceil(rows / 4);
      return {
        pipeline: device.pipeline(kernels.winograd, { STORED: storedTypes[dtype].STORED }),
        destination,
        shape: { row0, rows, in4, out4, size },
        invocations: size,
      };
    };
    return { texture, pack };
  }
  if (isMatmulWeight(parameter)) {
    const taps = elements(shape.slice(2)), inner = shape[1], in4 = Math.ceil(inner / 4), out4 = Math.ceil(shape[0] / 4);
    const texels = packedSize4(parameter);
    if (packsPairs(parameter, target)) {
      const texture = weights.texture(path, texels / 2, "rgba32uint");
      const destination = parameter.resource = texture.createView();
      const pack = (dtype: string, row0: number, rows: number): Packing => {
        const size4 = taps * in4 * 2 * Math.ceil(rows / 4);
        return {
          pipeline: device.pipeline(kernels.pairs, { GATED, STORED: storedTypes[dtype].STORED }),
          destination,
          shape: { row0, rows, in4, taps, out4, size4 },
          invocations: size4,
        };
      };
      return { texture, pack };
    }
    const { kernel, constants, resource, texture } = target.weightStorage === "texture"
      ? textureMemory(type, texels, weights, path, kernels.texture)
      : bufferMemory(device, type, texels, weights, path, kernels.buffer);
    parameter.resource = resource;
    const pack = (dtype: string, row0: number, rows: number): Packing => {
      const size4 = taps * in4 * 4 * Math.ceil(rows / 4);
      return {
        pipeline: device.pipeline(kernel, { ...constants, GATED, STORED: storedTypes[dtype].STORED }),
        destination: resource,
        shape: { row0, rows, in: inner, in4, taps, out4, size4 },
        invocations: size4,
      };
    };
    return { texture, pack };
  }
  const width4 = Math.ceil(rowSize / 4), texels = packedSize4(parameter);
  const { kernel, constants, resource, texture } = target.weightStorage === "texture"
    ? textureMemory(type, texels, weights, path, kernels.rowsTexture)
    : bufferMemory(device, type, texels, weights, path, kernels.rows);
  parameter.resource = resource;
  const pack = (dtype: string, row0: number, count: number): Packing => ({
    pipeline: device.pipeline(kernel, { ...constants, STORED: storedTypes[dtype].STORED }),
    destination: resource,
    shape: { row0, width: rowSize, width4, size4: count * width4 },
    invocations: count * width4,
  });
  return { texture, pack };
}

interface Memory {
  kernel: Kernel;
  constants: Constants;
  resource: GPUBindingResource;
  texture?: GPUTexture;
}

function bufferMemory(
  device: Device,
  type: string,
  size4: number,
  weights: Weights,
  path: string,
  kernel: Kernel,
): Memory {
  const buffer = bufferOf(device, size4 * (type === "f16" ? 8 : 16), weights, path);
  return { kernel, constants: { Weight: type }, resource: { buffer } };
}

/** @throws {WeightsError} where the device cannot bind as many bytes. */
function bufferOf(device: Device, bytes: number, weights: Weights, path: string): GPUBuffer {
  if (bytes <= device.maxBinding) return weights.buffer(path, bytes);
  throw new WeightsError(`Cannot load ${path}: ${bytes} bytes, and this GPU binds ${device.maxBinding} at most`);
}

function textureMemory(type: string, texels: number, weights: Weights, path: string, kernel: Kernel): Memory {
  const format = textureFormat(type), texture = weights.texture(path, texels, format);
  return {
    kernel,
    constants: { Weights: `texture_storage_2d<${format}, write>`, Weight: type },
    resource: texture.createView(),
    texture,
  };
}
