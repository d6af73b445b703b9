/** The tensors of an inference request: in JSON, or as bytes behind it (KServe's extension for binary tensor data). */
import { Refusal } from "./refusal.ts";
import { Wire } from "./translate.ts";
import type { UploadReader } from "./upload.ts";

/** One input, its values in order: numbers, text, or bytes. */
export interface Tensor {
  name: string;
  values: unknown[];
}

/** What a request holds; to be disposed of once its pictures are read. */
export interface TensorRequest extends Disposable {
  id?: string;
  inputs: Tensor[];
  /** Whether the client wants its outputs as bytes. */
  binary: boolean;
  /** Counts further bytes that are held for the request. @throws Refusal */
  grow: (bytes: number) => void;
}

/** Largest JSON in front of bytes: all that is large belongs behind it. */
const maxHeaderBytes = 1 << 20;

/** How a number of each type is read, and its bytes. */
const numberTypes: Record<string, [bytes: number, read: (view: DataView, at: number) => number]> = {
  BOOL: [1, (view, at) => view.getUint8(at)],
  UINT8: [1, (view, at) => view.getUint8(at)],
  UINT16: [2, (view, at) => view.getUint16(at, true)],
  UINT32: [4, (view, at) => view.getUint32(at, true)],
  UINT64: [8, (view, at) => Number(view.getBigUint64(at, true))],
  INT8: [1, (view, at) => view.getInt8(at)],
  INT16: [2, (view, at) => view.getInt16(at, true)],
  INT32: [4, (view, at) => view.getInt32(at, true)],
  INT64: [8, (view, at) => Number(view.getBigInt64(at, true))],
  FP32: [4, (view, at) => decimalOf(view.getFloat32(at, true))],
  FP64: [8, (view, at) => view.getFloat64(at, true)],
};

/** The shortest number that a client may have meant by a float of 32 bits: 3.1, not 3.0999999. */
function decimalOf(float: number): number {
  return Number(float.toPrecision(7));
}

/** @throws Refusal or RequestError */
export async function readTensors(request: Request, uploads: UploadReader): Promise<TensorRequest> {
  const announced = request.headers.get("inference-header-content-length");
  if (announced === null) {
    const upload = await uploads.read(request, { untyped: "application/json" });
    try {
      return {
        ...requestOf(new Wire(upload.fields)),
        grow: upload.grow,
        [Symbol.dispose]: () => upload[Symbol.dispose](),
      };
    } catch (error) {
      upload[Symbol.dispose]();
      throw error;
    }
  }
  const upload = await uploads.readBytes(request);
  try {
    const length = Number(announced), { bytes } = upload;
    if (!/^\d+$/.test(announced) || length > bytes.length || length > maxHeaderBytes) {
      throw malformed(`has ${bytes.length} bytes and its header announces ${announced.slice(0, 20)} of JSON`);
    }
    const fields = parse(bytes.subarray(0, length));
    return {
      ...requestOf(new Wire(fields), bytes.subarray(length)),
      grow: upload.grow,
      [Symbol.dispose]: () => upload[Symbol.dispose](),
    };
  } catch (error) {
    upload[Symbol.dispose]();
    throw error;
  }
}

function requestOf(
  wire: Wire,
  tail: Uint8Array<ArrayBuffer> = new Uint8Array(),
): Omit<TensorRequest, "grow" | keyof Disposable> {
  let at = 0;
  const inputs = (wire.list("inputs") ?? []).map((entry): Tensor => {
    const input = wireOf(entry), name = input.text("name") ?? "";
    const datatype = input.text("datatype") ?? "", size = input.object("parameters").number("binary_data_size");
    if (size === undefined) {
      const values = input.list("data")?.flat(8) ?? [], isFloat = datatype === "FP32";
      return { name, values: values.map((each) => isFloat && typeof each === "number" ? decimalOf(each) : each) };
    }
    if (!(size >= 0) || at + size > tail.length) throw malformed(`ends before the ${size} bytes of ${name}`);
    at += size;
    return { name, values: readBinary(datatype, tail.slice(at - size, at)) };
  });
  const wanted = (wire.list("outputs") ?? []).map((entry) => wireOf(entry).object("parameters").flag("binary_data"));
  const binary = wanted.includes(true) || wire.object("parameters").flag("binary_data_output") === true;
  return { id: wire.text("id"), inputs, binary };
}

/** The values of a tensor in bytes. BYTES are each four bytes of length, then so many. */
function readBinary(datatype: string, bytes: Uint8Array<ArrayBuffer>): unknown[] {
  const view = new DataView(bytes.buffer), values: unknown[] = [];
  if (datatype === "BYTES") {
    for (let at = 0; at < bytes.length;) {
      const length = at + 4 <= bytes.length ? view.getUint32(at, true) : Infinity;
      if (at + 4 + length > bytes.length) throw malformed("has a text that ends after its tensor");
      values.push(bytes.slice(at + 4, at + 4 + length));
      at += 4 + length;
    }
    return values;
  }
  const type = Object.hasOwn(numberTypes, datatype) ? numberTypes[datatype] : undefined;
  if (!type) throw malformed(`has a tensor of type ${JSON.stringify(datatype.slice(0, 20))}`);
  const [size, read] = type;
  for (let at = 0; at + size <= bytes.length; at += size) values.push(read(view, at));
  return values;
}

/** Files as a tensor of BYTES. */
export function writeBytes(files: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(files.reduce((sum, { length }) => sum + 4 + length, 0));
  const view = new DataView(bytes.buffer);
  let at = 0;
  for (const file of files) {
    view.setUint32(at, file.length, true);
    bytes.set(file, at + 4);
    at += 4 + file.length;
  }
  return bytes;
}

function wireOf(value: unknown): Wire {
  return new Wire(new Map([["", value]])).object("");
}

function parse(bytes: Uint8Array): Map<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (error) {
    throw malformed(`does not begin with JSON (${error instanceof Error ? error.message : error})`);
  }
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return new Map(Object.entries(value));
  throw malformed("begins with JSON that is no object");
}

function malformed(what: string): Refusal {
  return new Refusal("malformed_body", `The body ${what}, one as the open inference protocol has it would do`);
}
