/** Textual inversions: words whose vectors are in a file, found by the file's name in a prompt. */
import { CheckpointError } from "../checkpoint/error.ts";
import { type Checkpoint, openCheckpoint } from "../checkpoint/safetensors.ts";
import type { EmbeddedWord } from "../prompt/chunks.ts";

/** One word with its vectors, [vectors, width]. */
export interface EmbeddingWord extends EmbeddedWord {
  values: Float32Array;
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
      const { size, mtime } = Deno.statSync(path), version = `${path} ${size} ${mtime?.getTime()}`;
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
      const name = path.slice(path.search(/[^/\\]*$/), -END.length);
      const values = vectorsOf(checkpoint, this.#width), vectors = values.length / this.#width;
      if (vectors < 1 || vectors > most) throw new CheckpointError(`it has ${vectors} vectors, 1 to ${most} would do`);
      return { name, vectors, tokens: this.#tokens(name), values };
    } catch (error) {
      if (!(error instanceof CheckpointError)) throw error;
      this.#log(`Cannot use ${path} as an embedding: ${error.message}`);
    }
  }
}

/** The only tensor of a file: `emb_params` [vectors, width] as A1111 writes it, or `<name>` [width] as diffusers does. */
function vectorsOf(checkpoint: Checkpoint, width: number): Float32Array {
  const entries = [...checkpoint.tensors];
  if (entries.length !== 1) throw new CheckpointError(`it has ${entries.length} tensors, one would do`);
  const [name, { shape }] = entries[0];
  if (shape.length < 1 || shape.length > 2 || shape.at(-1) !== width) {
    throw new CheckpointError(`${name} is [${shape}], and this text encoder's words have ${width} numbers`);
  }
  return checkpoint.floats(name);
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
