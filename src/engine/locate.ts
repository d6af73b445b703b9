/** Which folder or file a model's name stands for, and which models there are. */
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { CheckpointError } from "../checkpoint/error.ts";
import { recognise } from "../checkpoint/family.ts";
import { describePickle, PICKLE } from "../checkpoint/pickle.ts";
import { openCheckpoint } from "../checkpoint/safetensors.ts";
import { lowerFirst } from "./fields.ts";

/** The folder of models that comes with the programme. */
export const weightsFolder: URL = new URL("../../weights/", import.meta.url);

/** The model that is used where none is named. */
export const defaultModel = "tiny";

/** A name or path that leads to no model. */
export class ModelNotFoundError extends Error {
  override name = "ModelNotFoundError";
}

/** A model that can be named. */
export interface ModelEntry {
  /** The folder's name, or the file's without `.safetensors`. */
  readonly name: string;
  readonly path: string;
  /** When its folder or file was last changed, in seconds since 1970. */
  readonly modified: number;
}

/** Where models are looked up by name. */
export interface ModelHomes {
  /** A folder of models that is looked through before `weights/`. */
  modelsDir?: string;
  /** A folder of textual inversions, looked through before those beside models. */
  embeddingsDir?: string;
}

/** Folders of textual inversions for the model at a path, those that are there: the named one, and `embeddings` beside models. */
export function embeddingFolders(path: string, { modelsDir, embeddingsDir }: ModelHomes = {}): string[] {
  const beside = [...(modelsDir ? [modelsDir] : []), dirname(resolve(path))].map((home) => join(home, "embeddings"));
  return [...new Set([...(embeddingsDir ? [embeddingsDir] : []), ...beside])].filter(isFolder);
}

const SINGLE = ".safetensors";
/** Found by name as well, so that opening one can say how it is converted. */
const PICKLES = [".ckpt", ".pt", ".pth", ".bin"];

/**
 * The path of a model: `model` itself where it has a slash or is a folder or a file, else a folder or single file of that
 * name in `modelsDir` or in `weights/`. Whether a model is in it shows when it is opened.
 *
 * @throws ModelNotFoundError naming the models there are
 */
export function locateModel(model: string, homes: ModelHomes = {}): string {
  const isPath = /[/\\]/.test(model) || exists(model);
  const named = (home: string) => ["", SINGLE, ...PICKLES].map((end) => `${home}/${model}${end}`);
  const found = (isPath ? [model] : model === "" ? [] : foldersOf(homes).flatMap(named)).find(exists);
  if (found !== undefined) return found;
  if (isPath) throw new ModelNotFoundError(`Cannot find the model ${model}, a folder or file that exists would do`);
  const names = listModels(homes).map(({ name }) => name).join(", ");
  throw new ModelNotFoundError(
    `Cannot find a model ${JSON.stringify(model)}, a path or one of these names would do: ${names}`,
  );
}

/**
 * The models that can be named, sorted by name within each place: folders with a `model_index.json`, and safetensors files
 * that hold a model, told from their headers. Of two with one name the first is listed, which is the one that is taken.
 * `read` keeps what headers said between calls; a file that has changed since is read again.
 */
export function listModels(homes: ModelHomes = {}, read: Map<string, boolean> = new Map()): ModelEntry[] {
  const models = new Map<string, ModelEntry>();
  for (const home of foldersOf(homes)) {
    for (const entry of entriesOf(home)) {
      const path = `${home}/${entry}`, name = isFolder(path) ? entry : entry.slice(0, -SINGLE.length);
      if (models.has(name)) continue;
      const { mtime, size } = Deno.statSync(path), ms = mtime?.getTime() ?? 0;
      const version = `${path} ${size} ${ms}`;
      const holds = isFolder(path) ? exists(`${path}/model_index.json`) : read.get(version) ?? holdsModel(path);
      if (!isFolder(path)) read.set(version, holds);
      if (holds) models.set(name, { name, path, modified: Math.floor(ms / 1000) });
    }
  }
  return [...models.values()];
}

/**
 * Why the name of a file is no model's, by what the file is: "old.ckpt is a PyTorch pickle, …". Undefined where there is no
 * such file. Names alone are told, no folders, and only names are looked up, never paths: they came with a request.
 */
export function whyNoModel(name: string, homes: ModelHomes = {}): string | undefined {
  for (const home of foldersOf(homes)) {
    const files = new Set(isFolder(home) ? [...Deno.readDirSync(home)].map(({ name }) => name) : []);
    const file = ["", SINGLE, ...PICKLES].map((end) => name + end).find((file) => files.has(file));
    if (file === undefined || isFolder(`${home}/${file}`)) continue;
    if (PICKLE.test(file)) return `${file} is ${describePickle(file)}`;
    if (!file.endsWith(SINGLE)) continue;
    try {
      using checkpoint = openCheckpoint(`${home}/${file}`);
      const { what, supported, hint } = recognise(checkpoint.tensors.keys());
      if (!supported) return `${file} is ${what}; ${hint}`;
    } catch (error) {
      if (!(error instanceof CheckpointError)) throw error;
      return lowerFirst(error.message).replaceAll(`${home}/`, "");
    }
  }
  return undefined;
}

function foldersOf({ modelsDir }: ModelHomes): string[] {
  return [...(modelsDir ? [modelsDir] : []), fileURLToPath(weightsFolder)].map((home) => home.replace(/[/\\]$/, ""));
}

/** Folders and safetensors files, folders first: of a folder and a file with one name the folder is taken. */
function entriesOf(home: string): string[] {
  if (!isFolder(home)) return [];
  const names = [...Deno.readDirSync(home)].map(({ name }) => name).toSorted();
  const isHere = (name: string) => isFolder(`${home}/${name}`);
  return [...names.filter(isHere), ...names.filter((name) => name.endsWith(SINGLE) && !isHere(name))];
}

function holdsModel(path: string): boolean {
  try {
    using checkpoint = openCheckpoint(path);
    return recognise(checkpoint.tensors.keys()).supported;
  } catch (error) {
    if (error instanceof CheckpointError) return false;
    throw error;
  }
}

function exists(path: string): boolean {
  return stat(path) !== undefined;
}

function isFolder(path: string): boolean {
  return stat(path)?.isDirectory ?? false;
}

function stat(path: string): Deno.FileInfo | undefined {
  try {
    return Deno.statSync(path);
  } catch {
    return undefined;
  }
}
