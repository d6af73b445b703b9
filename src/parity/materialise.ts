/** Writes the models that a manifest describes: every tensor from the hash rule, every file proven by its sha256. */
import { createHash } from "node:crypto";
import { basename, dirname, join } from "node:path";
import { type TensorData, writeSafetensors } from "../checkpoint/write.ts";
import type { DType } from "../tensor/dtype.ts";
import { elements, formatShape, type Shape } from "../tensor/shape.ts";
import { weights } from "./hash_weights.ts";

/** A description of one model's files. */
export interface Manifest {
  /** The model's name, which is also its folder's. */
  readonly model: string;
  /** Small JSON files by path: configs and the like. */
  readonly texts?: Readonly<Record<string, unknown>>;
  /** Folders, and the files that are copied into each. */
  readonly copies?: Readonly<Record<string, readonly string[]>>;
  /** Weight files. */
  readonly files: readonly ManifestFile[];
}

/** One safetensors file. */
export interface ManifestFile {
  readonly path: string;
  /** A tensor without a key of its own has the key `namespace/name`. */
  readonly namespace: string;
  /** How weights are stored; both hold the same values. */
  readonly dtype: "F16" | "F32";
  readonly metadata?: Readonly<Record<string, string>>;
  readonly sha256: string;
  readonly tensors: readonly ManifestTensor[];
}

/** One tensor: a hash stream, several joined along the first axis, one transposed, 0, 1, 2, … as int64, or one value. */
export type ManifestTensor =
  & { readonly name: string; readonly shape: Shape; readonly gain?: number }
  & (
    | { readonly kind?: "hash"; readonly key?: string; readonly source_shape?: Shape }
    | { readonly kind: "concat"; readonly parts: readonly { readonly key: string; readonly shape: Shape }[] }
    | { readonly kind: "transpose"; readonly key?: string; readonly source_shape: Shape }
    | { readonly kind: "arange" }
    | { readonly kind: "const"; readonly value: number; readonly dtype?: "F16" | "F32" }
  );

/** What to write, and from where. */
export interface MaterialiseOptions {
  /** Only weight files whose path contains this; small files are always written. */
  only?: string;
  /** The folder that `copies` are relative to. */
  copiesFrom: string;
}

/**
 * Writes a manifest's files below `folder`. Throws an Error where a file's sha256 is not the manifest's, a file to copy is
 * missing, or the manifest has a kind of tensor that is not known. Holds one tensor in memory at a time.
 */
export function materialise(manifest: Manifest, folder: string, { only = "", copiesFrom }: MaterialiseOptions): void {
  for (const [path, text] of Object.entries(manifest.texts ?? {})) {
    Deno.writeTextFileSync(place(folder, path), JSON.stringify(text, null, 2) + "\n");
  }
  for (const [path, sources] of Object.entries(manifest.copies ?? {})) {
    for (const source of sources) {
      Deno.copyFileSync(join(copiesFrom, source), place(folder, join(path, basename(source))));
    }
  }
  for (const file of manifest.files) {
    if (!file.path.includes(only)) continue;
    const path = place(folder, file.path);
    writeSafetensors(path, new Map(file.tensors.map((tensor) => [tensor.name, build(tensor, file)])), file.metadata);
    const found = sha256(path);
    if (found !== file.sha256) {
      throw new Error(`Cannot materialise ${file.path}: its sha256 is ${found}, the manifest says ${file.sha256}`);
    }
  }
}

/** Where materialised models are kept: `.cache/models` in the project's folder. */
export const MODEL_CACHE = join(import.meta.dirname!, "..", "..", ".cache", "models");

/**
 * The folder of the model that the manifest at `manifestPath` describes, written below `cache` unless an earlier call made
 * it from the same manifest and the same files to copy, which are in `models` beside the manifest's folder.
 * A folder appears whole or not at all, also where two processes make it at once. Throws as `materialise()` does.
 */
export function materialised(manifestPath: string, cache = MODEL_CACHE, { only = "" } = {}): string {
  const text = Deno.readTextFileSync(manifestPath);
  const manifest: Manifest = JSON.parse(text);
  const copiesFrom = join(dirname(manifestPath), "..", "models");
  const version = createHash("sha256").update(`${only}\n${text}`);
  for (const source of Object.values(manifest.copies ?? {}).flat()) {
    version.update(Deno.readFileSync(join(copiesFrom, source)));
  }
  const folder = join(cache, `${manifest.model}-${version.digest("hex").slice(0, 16)}`);
  if (exists(folder)) return join(folder, manifest.model);

  Deno.mkdirSync(cache, { recursive: true });
  const draft = Deno.makeTempDirSync({ dir: cache, prefix: `.${manifest.model}-` });
  try {
    materialise(manifest, draft, { only, copiesFrom });
    Deno.renameSync(draft, folder);
  } catch (error) {
    Deno.removeSync(draft, { recursive: true });
    if (!exists(folder)) throw error; // else another process was first
  }
  return join(folder, manifest.model);
}

function build(tensor: ManifestTensor, { namespace, dtype: fileDtype, path }: ManifestFile): TensorData {
  const { name, shape, gain = 1 } = tensor;
  const own = `${namespace}/${name}`;
  const dtype = fileDtype === "F16" ? "f16" : "f32";
  switch (tensor.kind) {
    case undefined:
    case "hash": {
      const { key = own, source_shape = shape } = tensor;
      return { dtype, shape, data: () => stored(weights(key, source_shape, { gain }), dtype) };
    }
    case "concat": {
      const { parts } = tensor;
      const data = () => joined(parts.map(({ key, shape }) => weights(key, shape, { gain })));
      return { dtype, shape, data: () => stored(data(), dtype) };
    }
    case "transpose": {
      const { key = own, source_shape } = tensor;
      const data = () => transposed(weights(key, source_shape, { gain }), source_shape);
      return { dtype, shape, data: () => stored(data(), dtype) };
    }
    case "arange":
      return { dtype: "i64", shape, data: BigInt64Array.from({ length: elements(shape) }, (_, i) => BigInt(i)) };
    case "const": {
      const constDtype = (tensor.dtype ?? fileDtype) === "F16" ? "f16" : "f32";
      const values = new Float32Array(elements(shape)).fill(tensor.value);
      return { dtype: constDtype, shape, data: constDtype === "f32" ? values : new Float16Array(values) };
    }
    default: {
      const { kind } = tensor satisfies never as { kind: string };
      const known = "hash, concat, transpose, arange, const";
      throw new Error(`Cannot materialise ${path}: tensor "${name}" is of the kind "${kind}", known are ${known}`);
    }
  }
}

function stored(values: Float16Array, dtype: DType): ArrayBufferView {
  return dtype === "f16" ? values : new Float32Array(values);
}

function joined(parts: readonly Float16Array[]): Float16Array {
  const whole = new Float16Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** The transpose of a matrix of `shape`. */
function transposed(matrix: Float16Array, shape: Shape): Float16Array {
  if (shape.length !== 2) throw new RangeError(`Cannot transpose ${formatShape(shape)}: only matrices are transposed`);
  const [rows, columns] = shape;
  const result = new Float16Array(matrix.length);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) result[column * rows + row] = matrix[row * columns + column];
  }
  return result;
}

/** The place of a manifest's file, with its folder made. */
function place(folder: string, path: string): string {
  const parts = path.split(/[/\\]/);
  if (parts.includes("..") || parts[0] === "") {
    throw new Error(`Cannot materialise ${path}: the path leads out of the folder`);
  }
  const whole = join(folder, path);
  Deno.mkdirSync(dirname(whole), { recursive: true });
  return whole;
}

function sha256(path: string): string {
  const hash = createHash("sha256");
  using file = Deno.openSync(path);
  const block = new Uint8Array(1 << 20);
  for (let count; (count = file.readSync(block)) !== null;) hash.update(block.subarray(0, count));
  return hash.digest("hex");
}

function exists(path: string): boolean {
  try {
    return Deno.statSync(path).isDirectory;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}
