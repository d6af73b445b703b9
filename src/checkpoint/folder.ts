import { type ComponentTensors, openComponent } from "./component.ts";
import { CheckpointError, quote } from "./error.ts";
import { checkDefaults, type FolderDefaults } from "./defaults.ts";
import { isObject, type Json, list, readObject, readText } from "./files.ts";
import { PICKLE, pickleError } from "./pickle.ts";

export type { Json };

/** One network of a model: a folder with a config and weights. */
export interface Component {
  /** Its name in model_index.json, which is the folder's: `unet`, `vae`, `text_encoder`. */
  readonly name: string;
  /** Its config.json. */
  readonly config: Json;
  /** Paths of its weight files; several where it is sharded. */
  readonly files: readonly string[];
  /** Opens its weights; the caller closes them. Throws a CheckpointError where a file is not valid. */
  tensors(): ComponentTensors;
}

/** How to open a model folder. */
export interface FolderOptions {
  /** Which file to take where a component has both; the other kind is taken where it has only that. */
  prefer?: "f16" | "f32";
  /** False reads files instead of mapping them. */
  map?: boolean;
}

/**
 * A model as diffusers lays it out, `model_index.json` and a folder for each component that it lists; or a single file
 * that offers the same.
 */
export interface ModelFolder {
  readonly path: string;
  /** The whole of model_index.json. */
  readonly index: Json;
  /** What requests should use where they name nothing; undefined without a defaults.json. */
  readonly defaults?: FolderDefaults;
  /** The text of scheduler/scheduler_config.json, which may hold what JSON has not (-Infinity); undefined without a scheduler. */
  readonly scheduler?: string;
  /** What fills up short prompts where no file of the tokenizer's folder says it: a single file has no such folder. */
  readonly padToken?: string;
  /** Whether the index lists a component of this name. */
  has(name: string): boolean;
  /** The folder of a component without weights, such as `tokenizer`. Throws a CheckpointError where it is missing. */
  folder(name: string): string;
  /** A network. Throws a CheckpointError saying what was looked for, where it, its config or its weights are missing. */
  component(name: string): Component;
}

/** What diffusers and transformers call their weight files. */
const WEIGHTS = ["diffusion_pytorch_model", "model"];

/**
 * Opens the model at `path`: reads and checks its small files, and no weights yet.
 * Throws a CheckpointError where there is no model of this layout.
 */
export function openFolder(path: string, { prefer = "f16", map = true }: FolderOptions = {}): ModelFolder {
  const listed = list(path);
  if (!listed) throw new CheckpointError(`Cannot open model ${path}: there is no such folder`);
  if (!listed.includes("model_index.json")) {
    const single = listed.find((name) => name.endsWith(".safetensors"));
    const pickle = listed.find((name) => PICKLE.test(name));
    if (pickle && !single) throw pickleError(`${path}/${pickle}`);
    const found = single
      ? `no model_index.json, only single files: give one, as ${path}/${single}`
      : "no model_index.json: a model is a folder in diffusers' layout, or a single safetensors file";
    throw new CheckpointError(`Cannot open model ${path}: it has ${found}`);
  }
  const index = readObject(`${path}/model_index.json`);
  /** An entry is [library, class]; both are null for a part that the model goes without. */
  const has = (name: string) => Array.isArray(index[name]) && typeof index[name][1] === "string";
  const folder = (name: string) => {
    if (!has(name)) throw new CheckpointError(`Cannot open ${name} of ${path}: model_index.json does not list it`);
    if (!list(`${path}/${name}`)) throw new CheckpointError(`Cannot open ${path}/${name}: there is no such folder`);
    return `${path}/${name}`;
  };
  return {
    path,
    index,
    defaults: listed.includes("defaults.json")
      ? checkDefaults(`${path}/defaults.json`, readObject(`${path}/defaults.json`))
      : undefined,
    scheduler: has("scheduler") ? readText(`${folder("scheduler")}/scheduler_config.json`) : undefined,
    has,
    folder,
    component(name) {
      const config = readObject(`${folder(name)}/config.json`);
      const files = weightFiles(folder(name), prefer);
      return { name, config, files, tensors: () => openComponent(files, { map }) };
    },
  };
}

/** The names that a component's weights may have, the preferred first: single files, or the indexes of shards. */
function weightNames(prefer: "f16" | "f32"): string[] {
  const half = WEIGHTS.flatMap((name) => [`${name}.fp16.safetensors`, `${name}.safetensors.index.fp16.json`]);
  const plain = WEIGHTS.flatMap((name) => [`${name}.safetensors`, `${name}.safetensors.index.json`]);
  return prefer === "f16" ? [...half, ...plain] : [...plain, ...half];
}

/** Of the names in a component's folder the file that is loaded, or the index of its shards; undefined where there is none. */
export function chooseWeights(names: readonly string[], prefer: "f16" | "f32"): string | undefined {
  return weightNames(prefer).find((name) => names.includes(name));
}

/** The safetensors files with a component's weights: one, or all that its index lists. */
export function weightFiles(folder: string, prefer: "f16" | "f32"): string[] {
  const listed = list(folder) ?? [], found = chooseWeights(listed, prefer);
  if (found) return found.endsWith(".json") ? shards(folder, found) : [`${folder}/${found}`];

  const pickle = listed.find((name) => PICKLE.test(name));
  if (pickle) throw pickleError(`${folder}/${pickle}`);
  throw new CheckpointError(`Cannot load ${folder}: it has none of ${weightNames(prefer).join(", ")}`);
}

/** The files that the index of a sharded component lists. */
function shards(folder: string, index: string): string[] {
  const path = `${folder}/${index}`;
  const { weight_map } = readObject(path);
  const files = isObject(weight_map) ? [...new Set(Object.values(weight_map))] : [];
  if (files.length === 0) throw new CheckpointError(`Cannot read ${path}: its "weight_map" lists no files`);
  return files.map((file) => {
    if (typeof file === "string" && /^[^/\\]+\.safetensors$/.test(file)) return `${folder}/${file}`;
    const name = typeof file === "string" ? quote(file) : JSON.stringify(file);
    throw new CheckpointError(`Cannot read ${path}: ${name} is not the name of a safetensors file beside it`);
  });
}
