/** Finding and reading the goldens in a folder: indexes are JSON, their tensors lie beside them. */
import { basename, join } from "node:path";
import { type Checkpoint, openCheckpoint } from "../checkpoint/safetensors.ts";
import type { Shape } from "../tensor/shape.ts";

/** Fields of one case; strings may name tensors. */
export type Fields = Readonly<Record<string, unknown>>;

/** An index and where it is. */
export interface Fixture<Index = Fields> {
  /** Its path in the folder without the ending, such as `goldens/tiny-sd15/unet`. */
  id: string;
  /** The folder it is in. */
  folder: string;
  index: Index;
}

/** The index of one network. */
export interface NetIndex {
  /** Of its weights, as `tiny-sd15/unet`. */
  namespace: string;
  config: Fields;
  kind?: string;
  cases: Fields[];
  tensors: string;
}

/** A whole pipeline's case. */
export interface PictureIndex {
  name: string;
  model: string;
  mode: string;
  prompt: string | string[];
  negative?: string | string[] | null;
  steps: number;
  /** Height and width in pixels. */
  size: [number, number];
  guidance: number;
  /** Pictures a prompt. */
  images?: number;
  eta?: number;
  strength?: number;
  /** Layers of the text encoder left out for the prompt. */
  clip_skip?: number;
  /** Kind of its mask, which lies beside it as a PNG. */
  mask?: string;
  guidance_rescale?: number;
  /** Of its random draws. */
  key: string;
  scheduler_class: string;
  scheduler_options: Fields;
  /** Names of tensors, where they are not `latents` and `image`. */
  latents?: string;
  image?: string;
  tensors: string;
}

/** All that was found in a folder of goldens. */
export interface Goldens {
  root: string;
  tokenizer?: Fixture;
  schedulers?: Fixture;
  networks: Fixture<NetIndex>[];
  pictures: Fixture<PictureIndex>[];
  /** Vectors of torch's generator. */
  rng: Fixture[];
  hashWeights?: Fixture;
  /** Real sizes with hashed weights, of which only the keys of inputs are stored. */
  full: Fixture<NetIndex>[];
  /** Names of folders that are checked elsewhere. */
  others: string[];
}

/** Folders of an oracle that hold no cases of numbers. */
const OTHERS = ["bad", "lora"];

/** Reads every index below `root`, whatever the cases in them are called. Throws an Error where there is none. */
export function readGoldens(root: string): Goldens {
  const fixture = <Index = Fields>(...path: string[]): Fixture<Index> => ({
    id: join(...path),
    folder: join(root, ...path.slice(0, -1)),
    index: readJson(join(root, `${join(...path)}.json`)) as Index,
  });
  const optional = (...path: string[]) => exists(join(root, `${join(...path)}.json`)) ? fixture(...path) : undefined;

  const pictures: Fixture<PictureIndex>[] = [];
  const below = (...parts: string[]) => folders(join(root, ...parts)).map((name) => [...parts, name]);
  for (const parts of [[], ...below(), ...below("goldens")]) {
    const path = join(root, ...parts, "index.json");
    const cases = exists(path) ? (readJson(path) as Fields).cases : undefined;
    if (!Array.isArray(cases)) continue;
    for (const name of cases) if (typeof name === "string") pictures.push(fixture<PictureIndex>(...parts, name));
  }
  const networks = folders(join(root, "goldens")).flatMap((model) =>
    jsons(join(root, "goldens", model)).map((name) => fixture<NetIndex>("goldens", model, name))
  ).filter(({ index }) => typeof index.namespace === "string");

  const goldens: Goldens = {
    root,
    tokenizer: optional("goldens", "tokenizer"),
    schedulers: optional("goldens", "schedulers"),
    networks,
    pictures,
    // Vectors of other generators lie there, too: their own tests read them.
    rng: jsons(join(root, "rng")).map((name) => fixture("rng", name)).filter(({ index }) => Array.isArray(index.cases)),
    hashWeights: optional("hashweights", "vectors"),
    full: jsons(join(root, "full")).map((name) => fixture<NetIndex>("full", name)),
    others: OTHERS.filter((name) => exists(join(root, name))),
  };
  const { tokenizer, schedulers, hashWeights, rng, full } = goldens;
  if ([tokenizer, schedulers, hashWeights, ...rng, ...full, ...networks, ...pictures].some((found) => found)) {
    return goldens;
  }
  throw new Error(
    `Cannot compare with ${root}: it has none of goldens/*.json, goldens/*/*.json, index.json, rng/*.json and full/*.json`,
  );
}

/** The tensors of a fixture. */
export class Tensors implements Disposable {
  readonly #checkpoint: Checkpoint;

  constructor({ folder, index }: Fixture<{ tensors: string }>) {
    this.#checkpoint = openCheckpoint(join(folder, index.tensors));
  }

  has(name: string): boolean {
    return this.#checkpoint.tensors.has(name);
  }

  shape(name: string): Shape {
    return this.#checkpoint.tensors.get(name)?.shape ?? [];
  }

  floats(name: string): Float32Array<ArrayBuffer> {
    return this.#checkpoint.floats(name);
  }

  [Symbol.dispose](): void {
    this.#checkpoint[Symbol.dispose]();
  }
}

/** Whether there is a file or folder. */
export function exists(path: string): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory) return false;
    throw error;
  }
}

/** Names of the JSON files in a folder without the ending, sorted; none where there is no folder. */
function jsons(folder: string): string[] {
  if (!exists(folder)) return [];
  return [...Deno.readDirSync(folder)].filter(({ name, isDirectory }) => name.endsWith(".json") && !isDirectory)
    .map(({ name }) => basename(name, ".json")).sort();
}

function folders(folder: string): string[] {
  if (!exists(folder)) return [];
  return [...Deno.readDirSync(folder)].filter(({ isDirectory }) => isDirectory).map(({ name }) => name).sort();
}

function readJson(path: string): unknown {
  try {
    return JSON.parse(Deno.readTextFileSync(path));
  } catch (error) {
    throw new Error(`Cannot read ${path}: ${(error as Error).message}`, { cause: error });
  }
}
