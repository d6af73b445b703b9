import { toFloat32 } from "../tensor/dtype.ts";
import { copyBytes, type FileBytes, openBytes, type Piece } from "./bytes.ts";
import { CheckpointError, quote } from "./error.ts";
import { type Header, parseHeader, type TensorInfo } from "./header.ts";

/** What the reference library allows a header to have. */
const MAX_HEADER_BYTES = 100_000_000;
/** The header's own length comes first, as a little-endian u64. */
const LENGTH_BYTES = 8;

/** Files that are often found under the wrong name, by their first characters. */
const OTHER_FORMATS: readonly [pattern: RegExp, what: string][] = [
  [/^PK|^\x80/, "a PyTorch pickle, which can run code when loaded: convert it as weights/README.md says"],
  [/^GGUF/, "a GGUF file: get the safetensors version of the model"],
  [/^version http/, "a Git LFS pointer: fetch the real file with `git lfs pull`"],
  [/^\s*<(!doctype|html)/i, "a web page, probably an error of the download: download it again"],
];

/**
 * A safetensors file, its header checked and its data mapped, not copied.
 * @example using checkpoint = openCheckpoint("unet/diffusion_pytorch_model.safetensors");
 */
export class Checkpoint implements Disposable {
  readonly path: string;
  /** Every tensor by name, in the order of their data. */
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  /** The free text of the header. */
  readonly metadata: ReadonlyMap<string, string>;
  readonly #file: FileBytes;

  /** Use `openCheckpoint()`. */
  constructor(file: FileBytes, { tensors, metadata }: Header) {
    this.path = file.path;
    this.tensors = tensors;
    this.metadata = metadata;
    this.#file = file;
  }

  /** `mmap`, or `read` where mapping was not possible; `reason` says why. */
  get kind(): FileBytes["kind"] {
    return this.#file.kind;
  }

  /** Why the file is read instead of mapped; undefined where it is mapped. */
  get reason(): string | undefined {
    return this.#file.reason;
  }

  /**
   * The data of a tensor in pieces of `maxBytes`, the last one shorter; none for an empty tensor. A piece is for reading,
   * at once: it is valid until the next is asked for. `tensor` is a name, or what `tensors` says of one, in which a
   * narrower range asks for that part. Throws a CheckpointError where there is no such tensor, the checkpoint was closed,
   * or the file has changed its size.
   */
  pieces(tensor: string | TensorInfo, maxBytes: number): Generator<Piece, void, void> {
    const { begin, end } = this.#info(tensor);
    return this.#file.pieces(begin, end, maxBytes);
  }

  /** A copy of a tensor's data. For small ones: weights should go to the GPU by `pieces()`. */
  bytes(tensor: string | TensorInfo): Uint8Array<ArrayBuffer> {
    const { begin, end } = this.#info(tensor);
    return copyBytes(this.#file, begin, end);
  }

  /** A copy of a tensor as single floats, whatever numbers it holds. */
  floats(tensor: string | TensorInfo): Float32Array<ArrayBuffer> {
    return toFloat32(this.bytes(tensor), this.#info(tensor).dtype);
  }

  /** Hints that a tensor, or without a name the whole file, has been uploaded and its pages may go. */
  release(name?: string): void {
    const { begin, end } = name === undefined ? { begin: 0, end: this.#file.byteLength } : this.#info(name);
    this.#file.release(begin, end);
  }

  /** Closes the file. Views still held become empty. */
  [Symbol.dispose](): void {
    this.#file[Symbol.dispose]();
  }

  #info(tensor: string | TensorInfo): TensorInfo {
    if (typeof tensor !== "string") return tensor;
    const info = this.tensors.get(tensor);
    if (!info) throw new CheckpointError(`Cannot read tensor ${quote(tensor)}: ${this.path} has none of that name`);
    return info;
  }
}

/**
 * Opens a safetensors file and checks all of its header before any view of its data can be made. With `map: false` it is
 * read instead of mapped. Throws a CheckpointError naming the file, and the tensor where there is one.
 */
export function openCheckpoint(path: string, options: { map?: boolean } = {}): Checkpoint {
  const file = openBytes(path, options);
  try {
    return new Checkpoint(file, readHeader(file));
  } catch (error) {
    file[Symbol.dispose]();
    if (!(error instanceof CheckpointError)) throw error;
    throw new CheckpointError(`Cannot open ${path}: ${error.message}`, { cause: error });
  }
}

function readHeader(file: FileBytes): Header {
  if (file.byteLength < LENGTH_BYTES) {
    throw new CheckpointError(`it has ${file.byteLength} bytes, fewer than the ${LENGTH_BYTES} of a header's length`);
  }
  const start = copyBytes(file, 0, Math.min(file.byteLength, 64));
  const headerBytes = new DataView(start.buffer).getBigUint64(0, true);
  const dataBegin = LENGTH_BYTES + Number(headerBytes);
  if (headerBytes > MAX_HEADER_BYTES || dataBegin > file.byteLength) {
    const text = String.fromCharCode(...start);
    const other = OTHER_FORMATS.find(([pattern]) => pattern.test(text));
    if (other) throw new CheckpointError(`it is ${other[1]}`);
    const most = Math.min(MAX_HEADER_BYTES, file.byteLength - LENGTH_BYTES);
    throw new CheckpointError(`its header claims ${headerBytes} bytes, but can have at most ${most}`);
  }
  return parseHeader(decode(copyBytes(file, LENGTH_BYTES, dataBegin)), dataBegin, file.byteLength);
}

function decode(header: Uint8Array<ArrayBuffer>): string {
  try {
    // A byte order mark is kept, so that it is refused like any other character in front.
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(header);
  } catch (cause) {
    throw new CheckpointError("its header is not valid UTF-8", { cause });
  }
}
