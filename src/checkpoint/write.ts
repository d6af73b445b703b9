import { bitsPerElement, type DType, fileNameOf } from "../tensor/dtype.ts";
import { elements, formatShape, type Shape } from "../tensor/shape.ts";

/** A tensor to be written: its data in row-major order, little-endian, or what makes them when their turn has come. */
export interface TensorData {
  readonly dtype: DType;
  readonly shape: Shape;
  readonly data: ArrayBufferView | (() => ArrayBufferView);
}

/**
 * Writes a safetensors file: tensors sorted by name (by code point), a compact header padded with spaces to a multiple
 * of 8 bytes, and `__metadata__` first where there is any. The same tensors give the same bytes.
 * Throws a RangeError where a tensor's data do not fit its dtype and shape, leaving a file that is cut short.
 */
export function writeSafetensors(
  path: string,
  tensors: ReadonlyMap<string, TensorData>,
  metadata: Readonly<Record<string, string>> = {},
): void {
  const inOrder = [...tensors].sort(([a], [b]) => compareCodePoints(a, b));
  const members = Object.keys(metadata).length > 0 ? [`"__metadata__":${JSON.stringify(metadata)}`] : [];
  let at = 0;
  for (const [name, tensor] of inOrder) {
    const { dtype, shape } = tensor;
    const end = at + byteLength(tensor);
    members.push(
      `${JSON.stringify(name)}:${JSON.stringify({ dtype: fileNameOf(dtype), shape, data_offsets: [at, end] })}`,
    );
    at = end;
  }

  const json = new TextEncoder().encode(`{${members.join(",")}}`);
  const head = new Uint8Array(8 + Math.ceil(json.length / 8) * 8).fill(0x20);
  new DataView(head.buffer).setBigUint64(0, BigInt(head.length - 8), true);
  head.set(json, 8);

  using file = Deno.openSync(path, { write: true, create: true, truncate: true });
  writeAll(file, head);
  for (const [name, tensor] of inOrder) {
    const data = typeof tensor.data === "function" ? tensor.data() : tensor.data;
    if (data.byteLength !== byteLength(tensor)) {
      const needed = `${tensor.dtype} ${formatShape(tensor.shape)} needs ${byteLength(tensor)} bytes`;
      throw new RangeError(`Cannot write tensor "${name}": ${needed}, the data has ${data.byteLength}`);
    }
    writeAll(file, new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
  }
}

function byteLength({ dtype, shape }: TensorData): number {
  return elements(shape) * bitsPerElement(dtype) / 8;
}

function writeAll(file: Deno.FsFile, bytes: Uint8Array): void {
  for (let written = 0; written < bytes.length;) written += file.writeSync(bytes.subarray(written));
}

function compareCodePoints(a: string, b: string): number {
  const [left, right] = [Array.from(a), Array.from(b)];
  const i = left.findIndex((character, i) => character !== right[i]);
  if (i < 0) return left.length - right.length;
  return i < right.length ? left[i].codePointAt(0)! - right[i].codePointAt(0)! : 1;
}
