import { bitsPerElement, type DType, dtypeOfFile, fileNameOf } from "../tensor/dtype.ts";
import type { Shape } from "../tensor/shape.ts";
import { CheckpointError, quote } from "./error.ts";
import { JsonReader } from "./json.ts";

/** Where one tensor lies in a file. */
export interface TensorInfo {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: Shape;
  /** First byte of the tensor, counted from the start of the file. */
  readonly begin: number;
  /** One past its last byte. */
  readonly end: number;
}

/** The contents of a valid header. */
export interface Header {
  /** Every tensor by name, in the order of their data. */
  tensors: Map<string, TensorInfo>;
  /** The free text under `__metadata__`; empty where there is none. */
  metadata: Map<string, string>;
}

/** A whole number of a header: a bigint only past 2⁵³. */
type Integer = number | bigint;

interface Fields {
  dtype: DType;
  shape: Integer[];
  data_offsets: [begin: number, end: number];
}

const FIELDS = ["dtype", "shape", "data_offsets"] as const satisfies (keyof Fields)[];
const U64_MAX = 2n ** 64n - 1n;

/**
 * Parses the JSON of a safetensors header and checks it as the reference library does: the tensors' data must fill the
 * file from `dataBegin` to `fileBytes` without holes or overlaps, and every range must be what dtype and shape need.
 * Throws a CheckpointError naming the tensor where there is one (the caller adds the file).
 * One absurdity of the reference is not taken: a dtype written as an object, `{"F32": null}`.
 */
export function parseHeader(text: string, dataBegin: number, fileBytes: number): Header {
  const { fields, metadata } = readFields(text);
  const inOrder = [...fields].sort(([, { data_offsets: a }], [, { data_offsets: b }]) => a[0] - b[0] || a[1] - b[1]);

  const tensors = new Map<string, TensorInfo>();
  let filled = 0;
  for (const [name, { dtype, shape, data_offsets: [begin, end] }] of inOrder) {
    const tensor = `tensor ${quote(name)}`;
    if (begin !== filled || end < begin) {
      const range = `the bytes ${begin} to ${end}`;
      throw new CheckpointError(`${tensor} has ${range}, but must begin at ${filled}, where the one before it ends`);
    }
    const bytes = byteLength(dtype, shape, tensor);
    if (end - begin !== bytes) {
      const needed = `${fileNameOf(dtype)} ${format(shape)} needs ${bytes}`;
      throw new CheckpointError(`${tensor} has ${end - begin} bytes, but ${needed}`);
    }
    tensors.set(name, { name, dtype, shape: shape.map(Number), begin: dataBegin + begin, end: dataBegin + end });
    filled = end;
  }
  if (dataBegin + filled !== fileBytes) {
    const described = `its header describes ${dataBegin + filled} bytes`;
    throw new CheckpointError(`${described}, but it has ${fileBytes}: download it again if it was cut short`);
  }
  return { tensors, metadata };
}

function readFields(text: string): { fields: Map<string, Fields>; metadata: Map<string, string> } {
  const json = new JsonReader(text);
  const fields = new Map<string, Fields>();
  let metadata: Map<string, string> | undefined;
  json.object((name) => {
    if (name !== "__metadata__") return void fields.set(name, readTensor(json, name));
    if (metadata) throw new CheckpointError(`its header has "__metadata__" twice`);
    metadata = readMetadata(json);
  });
  json.end();
  return { fields, metadata: metadata ?? new Map() };
}

function readMetadata(json: JsonReader): Map<string, string> {
  const metadata = new Map<string, string>();
  if (json.kind() === "null") json.skip();
  else json.object((key) => metadata.set(key, json.string()));
  return metadata;
}

/** An object with the three fields, or, as the reference also takes it, an array of them. Other fields are ignored. */
function readTensor(json: JsonReader, name: string): Fields {
  const tensor = json.subject = `tensor ${quote(name)}`;
  const found: Partial<Fields> = {};
  if (json.kind() === "array") {
    json.array((index) => {
      if (index >= FIELDS.length) throw new CheckpointError(`${tensor} has more than the fields ${FIELDS.join(", ")}`);
      readField(json, FIELDS[index], found);
    });
  } else {
    json.object((key) => {
      const field = FIELDS.find((field) => field === key);
      if (field) readField(json, field, found);
      else json.skip();
    });
  }
  const missing = FIELDS.find((field) => !found[field]);
  if (missing) throw new CheckpointError(`${tensor} has no "${missing}"`);
  json.subject = "its header";
  return found as Fields;
}

function readField(json: JsonReader, field: keyof Fields, found: Partial<Fields>): void {
  if (found[field]) throw new CheckpointError(`${json.subject} has "${field}" twice`);
  switch (field) {
    case "dtype": {
      const name = json.string();
      found.dtype = dtypeOfFile(name);
      if (!found.dtype) throw new CheckpointError(`${json.subject} has the unknown dtype ${quote(name)}`);
      return;
    }
    case "shape": {
      const shape: Integer[] = found.shape = [];
      return json.array(() => shape.push(json.integer()));
    }
    case "data_offsets": {
      // Past 2⁵³ rounding is harmless: no file is that long, so such a range is refused whatever its last digits are.
      const offsets: number[] = [];
      json.array(() => offsets.push(Number(json.integer())));
      if (offsets.length !== 2) {
        throw new CheckpointError(`${json.subject} has ${offsets.length} data_offsets instead of 2`);
      }
      found.data_offsets = offsets as [number, number];
      return;
    }
    default:
      field satisfies never;
  }
}

/** Bytes of a tensor. Like the reference, fails where the product passes 2⁶⁴ even if a later size is 0. */
function byteLength(dtype: DType, shape: readonly Integer[], tensor: string): number {
  const bits = [...shape, bitsPerElement(dtype)].reduce((product: Integer, size) => {
    const rounded = Number(product) * Number(size);
    if (rounded <= Number.MAX_SAFE_INTEGER) return rounded; // then it is exact
    const exact = BigInt(product) * BigInt(size);
    if (exact > U64_MAX) {
      throw new CheckpointError(`${tensor} has the shape ${format(shape)}, more than can be counted`);
    }
    return exact;
  }, 1);
  if (BigInt(bits) % 8n !== 0n) {
    throw new CheckpointError(`${tensor}, ${fileNameOf(dtype)} ${format(shape)}, does not end on a whole byte`);
  }
  return Number(bits) / 8;
}

function format(shape: readonly Integer[]): string {
  return shape.length > 16 ? `of ${shape.length} dimensions` : `[${shape.join(", ")}]`;
}
