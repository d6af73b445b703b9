import type { Piece } from "./bytes.ts";
import { CheckpointError, quote } from "./error.ts";
import type { TensorInfo } from "./header.ts";
import { expandBraces, type Rename, renameFor } from "./rename.ts";
import { type Checkpoint, openCheckpoint } from "./safetensors.ts";
import { formatShape } from "../tensor/shape.ts";

/** The tensors of one component under the names that models use, wherever its files keep them. */
export class ComponentTensors implements Disposable {
  readonly #checkpoints: readonly Checkpoint[];
  readonly #places = new Map<string, { checkpoint: Checkpoint; info: TensorInfo }>();
  readonly #rename: Rename;

  /**
   * Takes over `checkpoints` and closes them. Without a `rename` it is found from their names.
   * Throws a CheckpointError where two tensors have one name, or one that holds several cannot be divided.
   */
  constructor(checkpoints: readonly Checkpoint[], rename?: Rename) {
    this.#checkpoints = checkpoints;
    this.#rename = rename ?? renameFor(checkpoints.flatMap(({ tensors }) => [...tensors.keys()]));
    for (const checkpoint of checkpoints) {
      for (const stored of checkpoint.tensors.values()) {
        const renamed = this.#rename(stored.name);
        if (renamed === undefined) continue;
        const names = expandBraces(renamed);
        const parts = divide(checkpoint, stored, names.length);
        for (const [i, name] of names.entries()) this.#add(name, checkpoint, parts[i]);
      }
    }
  }

  /** The files, for messages: their paths, and whether and why not they are mapped. */
  get files(): readonly Checkpoint[] {
    return this.#checkpoints;
  }

  /** Every name, as models use them, file by file in the order of the data. */
  names(): IterableIterator<string> {
    return this.#places.keys();
  }

  /** Dtype, shape and place of a tensor, or undefined where there is none; `info.name` is its name in the file. */
  get(name: string): TensorInfo | undefined {
    return this.#find(name)?.info;
  }

  /** The data of a tensor in pieces: see `Checkpoint.pieces()`. */
  pieces(name: string, maxBytes: number): Generator<Piece, void, void> {
    const { checkpoint, info } = this.#place(name);
    return checkpoint.pieces(info, maxBytes);
  }

  /** A copy of a tensor as single floats. */
  floats(name: string): Float32Array<ArrayBuffer> {
    const { checkpoint, info } = this.#place(name);
    return checkpoint.floats(info);
  }

  /** Hints that everything has been uploaded: mapped pages may go. */
  release(): void {
    for (const checkpoint of this.#checkpoints) checkpoint.release();
  }

  /** Closes the files. */
  [Symbol.dispose](): void {
    for (const checkpoint of this.#checkpoints) checkpoint[Symbol.dispose]();
  }

  #add(name: string, checkpoint: Checkpoint, info: TensorInfo): void {
    const other = this.#places.get(name);
    if (other) {
      const both = `${quote(info.name)} of ${checkpoint.path} and ${
        quote(other.info.name)
      } of ${other.checkpoint.path}`;
      throw new CheckpointError(`Cannot tell which tensor is ${quote(name)}: ${both}`);
    }
    this.#places.set(name, { checkpoint, info });
  }

  #find(name: string): { checkpoint: Checkpoint; info: TensorInfo } | undefined {
    return this.#places.get(name) ?? this.#places.get(this.#rename(name) ?? name);
  }

  #place(name: string): { checkpoint: Checkpoint; info: TensorInfo } {
    const place = this.#find(name);
    if (place) return place;
    const files = this.#checkpoints.map(({ path }) => path).join(", ");
    throw new CheckpointError(`Cannot read tensor ${quote(name)}: ${files} has none of that name`);
  }
}

/** A tensor as `count` tensors of equal size, its rows divided among them. */
function divide({ path }: Checkpoint, info: TensorInfo, count: number): TensorInfo[] {
  if (count === 1) return [info];
  const [rows = 1, ...rest] = info.shape;
  const bytes = (info.end - info.begin) / count;
  if (info.shape.length === 0 || rows % count !== 0 || !Number.isInteger(bytes)) {
    const shape = formatShape(info.shape);
    throw new CheckpointError(`Cannot open ${path}: ${quote(info.name)} is ${shape}, and must have rows for ${count}`);
  }
  return Array.from({ length: count }, (_, i) => {
    const begin = info.begin + i * bytes;
    return { ...info, shape: [rows / count, ...rest], begin, end: begin + bytes };
  });
}

/** Opens the files of a component. Throws a CheckpointError, having closed all of them, where one is not valid. */
export function openComponent(
  paths: readonly string[],
  { map, rename }: { map?: boolean; rename?: Rename } = {},
): ComponentTensors {
  using opened = new DisposableStack();
  const tensors = new ComponentTensors(paths.map((path) => opened.use(openCheckpoint(path, { map }))), rename);
  opened.move();
  return tensors;
}
