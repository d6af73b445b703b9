import { CheckpointError } from "./error.ts";
import { MapError, mapFile, type Mapping } from "./mmap.ts";

/** The pieces in which bytes are copied: large enough to cost nothing, small beside what is copied. */
const COPY_BYTES = 1 << 20;

/** A stretch of a file in memory. */
export interface Piece {
  /** Where the stretch starts, counted from the start of what was asked for. */
  readonly offset: number;
  /** The bytes, for reading only, and only until the next piece is asked for or the file is closed. */
  readonly bytes: Uint8Array<ArrayBuffer>;
}

/** A file for reading in pieces: mapped into memory, or read where that is not possible. */
export interface FileBytes extends Disposable {
  readonly path: string;
  /** How pieces come about: `mmap` copies nothing, `read` reads each into a buffer of the piece's size. */
  readonly kind: "mmap" | "read";
  /** Why the file was not mapped; undefined where it was. */
  readonly reason?: string;
  /** The file's size in bytes when it was opened. */
  readonly byteLength: number;
  /**
   * The bytes from `begin` to `end` in pieces of `maxBytes`, the last one shorter. Throws a CheckpointError where the
   * file was closed, or has changed its size since it was opened. A file that another process cuts while a piece is being
   * read can still end the process where it is mapped: replace weights by renaming, not by writing into them.
   */
  pieces(begin: number, end: number, maxBytes: number): Generator<Piece, void, void>;
  /** Hints that [begin, end) has been uploaded: mapped pages leave this process; the system's cache keeps them. */
  release(begin: number, end: number): void;
}

/**
 * Opens the regular file at `path`, mapped if that is possible and permitted. With `map: false` it is read.
 * Throws a CheckpointError where there is no such file or it may not be read.
 */
export function openBytes(path: string, { map = true }: { map?: boolean } = {}): FileBytes {
  // Also Deno's check of the permission to read, which FFI would pass by; and open() would wait on a pipe.
  const { isFile } = attempt(path, () => Deno.statSync(path));
  if (!isFile) throw new CheckpointError(`Cannot open ${path}: it is not a file`);
  if (!map) return new ReadFile(path, "mapping was not asked for");
  try {
    return new MappedFile(path, mapFile(path));
  } catch (error) {
    if (error instanceof MapError) return new ReadFile(path, error.message);
    throw error;
  }
}

/** A copy of the bytes from `begin` to `end`. */
export function copyBytes(file: FileBytes, begin: number, end: number): Uint8Array<ArrayBuffer> {
  const copy = new Uint8Array(end - begin);
  for (const { offset, bytes } of file.pieces(begin, end, COPY_BYTES)) copy.set(bytes, offset);
  return copy;
}

class MappedFile implements FileBytes {
  readonly kind = "mmap";
  readonly path: string;
  readonly byteLength: number;
  #mapping: Mapping | undefined;
  /** Buffers handed out and still attached to the mapping. */
  readonly #lent = new Set<ArrayBuffer>();

  constructor(path: string, mapping: Mapping) {
    this.path = path;
    this.byteLength = mapping.byteLength;
    this.#mapping = mapping;
  }

  *pieces(begin: number, end: number, maxBytes: number): Generator<Piece, void, void> {
    checkRange(this, begin, end, maxBytes);
    for (let at = begin; at < end; at += maxBytes) {
      const mapping = this.#mapping ?? closed(this.path);
      checkSize(this, mapping.fileBytes());
      const length = Math.min(maxBytes, end - at);
      const buffer = Deno.UnsafePointerView.getArrayBuffer(mapping.address, length, at);
      this.#lent.add(buffer);
      try {
        yield { offset: at - begin, bytes: new Uint8Array(buffer) };
      } finally {
        this.#takeBack(buffer);
      }
    }
  }

  release(begin: number, end: number): void {
    this.#mapping?.release(begin, end);
  }

  [Symbol.dispose](): void {
    for (const buffer of this.#lent) this.#takeBack(buffer);
    this.#mapping?.close();
    this.#mapping = undefined;
  }

  /** Detaches: a view that somebody kept has length 0 from now on, instead of an address that is no longer mapped. */
  #takeBack(buffer: ArrayBuffer): void {
    if (this.#lent.delete(buffer)) buffer.transfer(0);
  }
}

class ReadFile implements FileBytes {
  readonly kind = "read";
  readonly path: string;
  readonly reason: string;
  readonly byteLength: number;
  #file: Deno.FsFile | undefined;

  constructor(path: string, reason: string) {
    this.path = path;
    this.reason = reason;
    this.#file = attempt(path, () => Deno.openSync(path));
    this.byteLength = this.#file.statSync().size;
  }

  *pieces(begin: number, end: number, maxBytes: number): Generator<Piece, void, void> {
    checkRange(this, begin, end, maxBytes);
    const buffer = new Uint8Array(Math.min(maxBytes, end - begin)); // one for all pieces, each overwriting the last
    for (let at = begin; at < end; at += maxBytes) {
      const file = this.#file ?? closed(this.path);
      checkSize(this, file.statSync().size);
      const bytes = buffer.subarray(0, Math.min(maxBytes, end - at));
      file.seekSync(at, Deno.SeekMode.Start);
      for (let filled = 0; filled < bytes.length;) {
        const count = file.readSync(bytes.subarray(filled));
        if (count === null) throw new CheckpointError(`Cannot read ${this.path}: it ended at byte ${at + filled}`);
        filled += count;
      }
      yield { offset: at - begin, bytes };
    }
  }

  release(): void {}

  [Symbol.dispose](): void {
    this.#file?.close();
    this.#file = undefined;
  }
}

function closed(path: string): never {
  throw new CheckpointError(`Cannot read ${path}: it has been closed`);
}

function checkRange({ path, byteLength }: FileBytes, begin: number, end: number, maxBytes: number): void {
  if (!(0 <= begin && begin <= end && end <= byteLength)) {
    throw new RangeError(`Cannot read bytes ${begin} to ${end} of ${path}: it has ${byteLength}`);
  }
  if (!(Number.isInteger(maxBytes) && maxBytes > 0)) {
    throw new RangeError(`Cannot read ${path} in pieces of ${maxBytes} bytes: at least 1 is needed`);
  }
}

function checkSize({ path, byteLength }: FileBytes, now: number): void {
  if (now !== byteLength) {
    throw new CheckpointError(
      `Cannot read ${path}: it had ${byteLength} bytes when opened and has ${now}; open it again`,
    );
  }
}

function attempt<T>(path: string, open: () => T): T {
  try {
    return open();
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) throw new CheckpointError(`Cannot open ${path}: there is no such file`);
    if (!(error instanceof Error)) throw error;
    throw new CheckpointError(`Cannot open ${path}: ${error.message}`, { cause: error });
  }
}
