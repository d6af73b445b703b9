/**
 * Values that kernels read from storage textures. What makes a value writes a buffer; before the first dispatch that
 * wants it in a texture, its bytes are copied there. A software driver loads from such a texture several times faster.
 */
import type { Device } from "../gpu/device.ts";
import { type Dispatch, type Storage, Value } from "./graph.ts";

/** Texels in a row, as kernels/lib/octet_*.wgsl count them: their index is x + 1024 y. */
const width = 1024;
/** Bytes of a texel, rgba32uint. */
const texelBytes = 16;

/** A buffer's first `bytes`, and the texture that gets them. */
export interface TextureCopy {
  source: GPUBuffer;
  target: GPUTexture;
  bytes: number;
}

/**
 * What is copied before each dispatch: the values it reads from textures and that were written since their last copy. Before the
 * first `steady` ones nothing was copied, and none may count on them: they do not run each time.
 */
export function textureCopies(dispatches: readonly Dispatch[], steady = 0): Storage[][] {
  const copied = new Set<Storage>();
  return dispatches.map(({ operands, textures, writes }, at) => {
    if (at === steady) copied.clear();
    const copies = textures.map((name) => operands[name])
      .filter((operand) => operand instanceof Value)
      .map(({ storage }) => storage)
      .filter((storage) => !copied.has(storage));
    for (const storage of copies) copied.add(storage);
    const written = operands[writes];
    if (written instanceof Value) copied.delete(written.storage);
    return [...new Set(copies)];
  });
}

/** Columns and rows of the texture that holds so many texels: whole rows. */
export function textureSize(texels: number): [columns: number, rows: number] {
  return [Math.min(texels, width), Math.ceil(texels / width)];
}

/** Bytes of the texture that holds `bytes` in texels of `texel` bytes. */
export function textureBytes(bytes: number, texel: number = texelBytes): number {
  const [columns, rows] = textureSize(Math.ceil(bytes / texel));
  return columns * rows * texel;
}

/** Bytes of the highest texture that the device makes. */
export function mostTextureBytes(device: Device): number {
  return device.gpu.limits.maxTextureDimension2D * width * texelBytes;
}

/** @throws {RangeError} when the device's textures are not high enough. */
export function createTexture(device: Device, label: string, bytes: number): GPUTexture {
  const size = textureSize(Math.ceil(bytes / texelBytes)), most = mostTextureBytes(device);
  if (bytes > most) {
    throw new RangeError(`Cannot allocate ${label}: ${bytes} bytes, and this GPU's textures hold ${most} at most`);
  }
  return device.memory.texture("slots", {
    label,
    size,
    format: "rgba32uint",
    usage: GPUTextureUsage.STORAGE_BINDING | GPUTextureUsage.COPY_DST,
  }, textureBytes(bytes));
}

/** Whole rows first, then what is left of the last one: a copy of all would read past the buffer's end. */
export function encodeCopies(encoder: GPUCommandEncoder, copies: readonly TextureCopy[]): void {
  for (const { source, target, bytes } of copies) {
    const texels = bytes / texelBytes, rows = Math.floor(texels / width), rest = texels % width;
    if (rows) {
      encoder.copyBufferToTexture({ buffer: source, bytesPerRow: width * texelBytes }, { texture: target }, [
        width,
        rows,
      ]);
    }
    if (rest) {
      const offset = rows * width * texelBytes;
      encoder.copyBufferToTexture({ buffer: source, offset }, { texture: target, origin: [0, rows] }, [rest, 1]);
    }
  }
}
