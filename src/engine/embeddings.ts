/** Textual inversions: words whose vectors are in a file, found by the file's name in a prompt. */
import { CheckpointError } from "../checkpoint/error.ts";
import { type Checkpoint, openCheckpoint } from "../checkpoint/safetensors.ts";
import type { EmbeddedWord } from "../prompt/chunks.ts";

/** One word with its vectors, [vectors, width]. */
export interface EmbeddingWord extends EmbeddedWord {
  values: Float32Array;
}

/** A file that holds a word, as its header tells of it. */
export interface EmbeddingEntry {
  name: string;
  vectors: number;
  /** Numbers of a vector: which text encoders read it. */
  width: number;
}

const END = ".safetensors";
/** Most vectors that a word may have: it has to fit a chunk of a prompt. */
const most = 75;

/** The words of some folders that a text encoder of one width can read. */
export class Embeddings {
  readonly #folders: readonly string[];
  readonly #width: number;
  readonly #tokens: (text: string) => number[];
  readonly #log: (line: string) => void;
  /** Words by their file, its size and the time of its last change; undefined where it is not for this text encoder. */
  readonly #read = new Map<string, EmbeddingWord | undefined>();

  /** Of two files of one name that of the earlier folder counts; a folder that does not exist is empty. */
  constructor(
    folders: readonly string[],
    { width, tokens, log = () => {} }: {
      /** Numbers of a vector. */
      width: number;
      /** The ids of a text. */
      tokens: (text: string) => number[];
      log?: (line: string) => void;
    },
  ) {
    [this.#folders, this.#width, this.#tokens, this.#log] = [folders, width, tokens, log];
  }

  /** The words there are now, by name: files are looked up at each call, and read when they are new or have changed. */
  words(): EmbeddingWord[] {
    const words = new Map<string, EmbeddingWord>();
    for (const path of this.#folders.flatMap(filesOf)) {
      const version = versionOf(path);
      if (!this.#read.has(version)) this.#read.set(version, this.#open(path));
      const word = this.#read.get(version);
      if (word && !words.has(word.name)) words.set(word.name, word);
    }
    return [...words.values()];
  }

  /** The word of a file; says in the log why there is none where it is none. */
  #open(path: string): EmbeddingWord | undefined {
    try {
      using checkpoint = openCheckpoint(path, { map: false });
      const { tensor, width, vectors } = readHeader(checkpoint), name = nameOf(path);
      if (width !== this.#width) {
        throw new CheckpointError(
          `${tensor} has ${width} numbers a vector, and this text encoder's words have ${this.#width}`,
        );
      }
      return { name, vectors, tokens: this.#tokens(name), values: checkpoint.floats(tensor) };
    } catch (error) {
      if (!(error instanceof CheckpointError)) throw error;
      this.#log(`Cannot use ${path} as an embedding: ${error.message}`);
    }
  }
}

/**
 * The files of some folders that hold a word, whichever text encoder it is for: of two of one name that of the earlier
 * folder. `read` keeps what headers said between calls; a file that has changed since is read again.
 */
export function listEmbeddings(
  folders: readonly string[],
  read: Map<string, EmbeddingEntry | undefined> = new Map(),
): EmbeddingEntry[] {
  const entries = new Map<string, EmbeddingEntry>();
  for (const path of folders.flatMap(filesOf)) {
    const version = versionOf(path);
    if (!read.has(version)) read.set(version, entryOf(path));
    const entry = read.get(version);
    if (entry && !entries.has(entry.name)) entries.set(entry.name, entry);
  }
  return [...entries.values()];
}

function entryOf(path: string): EmbeddingEntry | undefined {
  try {
    using checkpoint = openCheckpoint(path, { map: false });
    const { width, vectors } = readHeader(checkpoint);
    return { name: nameOf(path), vectors, width };
  } catch (error) {
    if (!(error instanceof CheckpointError)) throw error;
  }
}

/** The only tensor of a file: `emb_params` [vectors, width] as A1111 writes it, or `<name>` [width] as diffusers does. */
function readHeader({ tensors }: Checkpoint): { tensor: string; width: number; vectors: number } {
  if (tensors.size !== 1) throw new CheckpointError(`it has ${tensors.size} tensors, one would do`);
  const [[tensor, { shape }]] = tensors;
  if (shape.length < 1 || shape.length > 2) {
    throw new CheckpointError(`${tensor} is [${shape}], [vectors, width] would do`);
  }
  const width = shape.at(-1)!, vectors = shape.length === 2 ? shape[0] : 1;
  if (vectors < 1 || vectors > most) throw new CheckpointError(`it has ${vectors} vectors, 1 to ${most} would do`);
  return { tensor, width, vectors };
}

/** What a file is known by until it changes. */
function versionOf(path: string): string {
  const { size, mtime } = Deno.statSync(path);
  return `${path} ${size} ${mtime?.getTime()}`;
}

/** The word that stands for a file in a prompt. */
function nameOf(path: string): string {
  return path.slice(path.search(/[^/\\]*$/), -END.length);
}

/** Paths of the files of a folder, by name; none where there is no such folder. */
function filesOf(folder: string): string[] {
  try {
    const names = [...Deno.readDirSync(folder)].filter(({ name, isDirectory }) => name.endsWith(END) && !isDirectory);
    return names.map(({ name }) => `${folder}/${name}`).toSorted();
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory) return [];
    throw error;
  }
}
