import type { Piece } from "./bytes.ts";
import { CheckpointError, quote } from "./error.ts";
import type { TensorInfo } from "./header.ts";
import { type Rename, renameFor } from "./rename.ts";
import { type Checkpoint, openCheckpoint } from "./safetensors.ts";

/** The tensors of one component under the names that models use, wherever its files keep them. */
export class ComponentTensors implements Disposable {
  readonly #checkpoints: readonly Checkpoint[];
  readonly #places = new Map<string, { checkpoint: Checkpoint; info: TensorInfo }>();
  readonly #rename: Rename;

  /** Takes over `checkpoints` and closes them. Throws a CheckpointError where two tensors have one name. */
  constructor(checkpoints: readonly Checkpoint[]) {
    this.#checkpoints = checkpoints;
    this.#rename = renameFor(checkpoints.flatMap(({ tensors }) => [...tensors.keys()]));
    for (const checkpoint of checkpoints) {
      for (const info of checkpoint.tensors.values()) {
        const name = this.#rename(info.name);
        const other = this.#places.get(name);
        if (other) {
          const both = `${quote(info.name)} of ${checkpoint.path} and ${
            quote(other.info.name)
          } of ${other.checkpoint.path}`;
          throw new CheckpointError(`Cannot tell which tensor is ${quote(name)}: ${both}`);
        }
        this.#places.set(name, { checkpoint, info });
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

  /** Dtype and shape of a tensor, or undefined where there is none; `info.name` is its name in the file. */
  get(name: string): TensorInfo | undefined {
    return this.#places.get(this.#rename(name))?.info;
  }

  /** The data of a tensor in pieces: see `Checkpoint.pieces()`. */
  pieces(name: string, maxBytes: number): Generator<Piece, void, void> {
    const { checkpoint, info } = this.#place(name);
    return checkpoint.pieces(info.name, maxBytes);
  }

  /** A copy of a tensor as single floats. */
  floats(name: string): Float32Array<ArrayBuffer> {
    const { checkpoint, info } = this.#place(name);
    return checkpoint.floats(info.name);
  }

  /** Hints that everything has been uploaded: mapped pages may go. */
  release(): void {
    for (const checkpoint of this.#checkpoints) checkpoint.release();
  }

  /** Closes the files. */
  [Symbol.dispose](): void {
    for (const checkpoint of this.#checkpoints) checkpoint[Symbol.dispose]();
  }

  #place(name: string): { checkpoint: Checkpoint; info: TensorInfo } {
    const place = this.#places.get(this.#rename(name));
    if (place) return place;
    const files = this.#checkpoints.map(({ path }) => path).join(", ");
    throw new CheckpointError(`Cannot read tensor ${quote(name)}: ${files} has none of that name`);
  }
}

/** Opens the files of a component. Throws a CheckpointError, having closed all of them, where one is not valid. */
export function openComponent(paths: readonly string[], options: { map?: boolean } = {}): ComponentTensors {
  using opened = new DisposableStack();
  const tensors = new ComponentTensors(paths.map((path) => opened.use(openCheckpoint(path, options))));
  opened.move();
  return tensors;
}
