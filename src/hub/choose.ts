/** Which files of a repository a pipeline needs. */
import type { HubFile, Repository } from "./client.ts";
import { HubError } from "./error.ts";

/** How to choose. */
export interface ChooseOptions {
  /** The text of one of the repository's small files. */
  read(file: HubFile): Promise<string>;
  /** Of the names in a component's folder the weights to take, or the index of their shards; undefined where it has none. */
  weights(names: readonly string[]): string | undefined;
}

/** Parts of published pipelines that nothing here runs. */
const IGNORED = ["safety_checker", "feature_extractor", "image_encoder"];
const PICKLE = /\.(bin|ckpt|pt|pth|pkl|msgpack|h5)$/i;
const SHARD_INDEX = /\.index\.(\w+\.)?json$/;

/**
 * The files of the model folder that a repository is: `model_index.json`, for every part it lists the configs, and of the
 * networks one set of weights.
 * @throws {HubError} where it is no model folder, or a part has no weights in safetensors
 */
export async function chooseFolder(repository: Repository, { read, weights }: ChooseOptions): Promise<HubFile[]> {
  const { name, files } = repository, cannot = `Cannot pull ${name}: `;
  const at = new Map(files.map((file) => [file.path, file]));
  const index = at.get("model_index.json");
  if (!index) throw new HubError(`${cannot}it has no model_index.json, ${singleFiles(repository)} would do`);
  const chosen = [index], own = at.get("defaults.json");
  if (own) chosen.push(own);
  for (const [part, entry] of Object.entries(objectOf(await read(index), `${cannot}its model_index.json`))) {
    // An entry is [library, class]; both are null for a part that the model goes without.
    if (!Array.isArray(entry) || typeof entry[1] !== "string" || IGNORED.includes(part)) continue;
    const names = files.map(({ path }) => path).filter((path) => path.startsWith(`${part}/`))
      .map((path) => path.slice(part.length + 1)).filter((inner) => !inner.includes("/"));
    if (names.length === 0) {
      throw new HubError(`${cannot}its model_index.json lists ${part}, which is not there; another model would do`);
    }
    const configs = names.filter((inner) =>
      /\.(json|txt)$/.test(inner) && !SHARD_INDEX.test(inner) && inner !== "tokenizer.json"
    );
    const taken = weights(names), pickle = names.find((inner) => PICKLE.test(inner));
    if (taken === undefined && pickle) {
      throw new HubError(`${cannot}its ${part} is only there as ${pickle}, a model in safetensors would do`);
    }
    const path = `${part}/${taken}`, isIndex = taken !== undefined && SHARD_INDEX.test(taken);
    const shards = isIndex ? shardsOf(await read(at.get(path)!), `${cannot}its ${path}`) : [];
    for (const inner of [...configs, ...(taken === undefined ? [] : [taken]), ...shards]) {
      const file = at.get(`${part}/${inner}`);
      if (!file) throw new HubError(`${cannot}its ${path} lists ${inner}, which is not there; another model would do`);
      chosen.push(file);
    }
  }
  return chosen;
}

/**
 * A single-file model, and what stands beside it under its name with `.yaml` or `.json`.
 * @throws {HubError} where there is none at `path`, or it is a pickle
 */
export function chooseSingle(repository: Repository, path: string): HubFile[] {
  const { name, files } = repository, file = files.find((file) => file.path === path);
  const others = singleFiles(repository);
  if (PICKLE.test(path)) {
    throw new HubError(`Cannot pull ${name}: ${path} is a pickle, which can run code when loaded; ${others} would do`);
  }
  if (!file) throw new HubError(`Cannot pull ${name}: it has no file ${path}, ${others} would do`);
  const base = path.replace(/\.safetensors$/, "");
  return [file, ...files.filter(({ path }) => path === `${base}.yaml` || path === `${base}.json`)];
}

/** The single files of a repository that may be models, for messages. */
function singleFiles({ name, files }: Repository): string {
  const single = files.map(({ path }) => path).filter((path) => /^[^/]+\.safetensors$/.test(path));
  if (single.length === 0) return "a model in diffusers' layout, or a single safetensors file,";
  const more = single.length > 4 ? ` and ${single.length - 4} more` : "";
  return single.slice(0, 4).map((path) => `${name}/${path}`).join(" or ") + more;
}

function objectOf(text: string, what: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  } catch { /* said below */ }
  throw new HubError(`${what} is not a JSON object, another model would do`);
}

/** The files that the index of a sharded component lists. */
function shardsOf(text: string, what: string): string[] {
  const { weight_map } = objectOf(text, what);
  const shards = [...new Set(Object.values(weight_map ?? {}))];
  if (shards.length > 0 && shards.every((shard) => typeof shard === "string")) return shards;
  throw new HubError(`${what} lists no files in its "weight_map", another model would do`);
}
