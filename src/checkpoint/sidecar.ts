/** `NAME.json` and `NAME.yaml` beside `NAME.safetensors`: what the tensors of a single file do not show. */
import { checkDefaults, type FolderDefaults } from "./defaults.ts";
import { CheckpointError, quote } from "./error.ts";
import { isFile, isObject, type Json, readObject, readText } from "./files.ts";
import { yamlText } from "./yaml.ts";

/**
 * Fields of a single file's configs, which override what is told from its tensors.
 * @example { "scheduler": { "prediction_type": "v_prediction" }, "defaults": { "steps": 30 } }
 */
export interface Sidecar {
  readonly unet?: Json;
  readonly vae?: Json;
  readonly text_encoder?: Json;
  readonly scheduler?: Json;
  /** As a model folder's defaults.json. */
  readonly defaults?: FolderDefaults;
}

const PARTS = ["unet", "vae", "text_encoder", "scheduler", "defaults"] satisfies (keyof Sidecar)[];

/** What latent-diffusion's configs call the predictions. */
const PREDICTIONS: Readonly<Record<string, string>> = { eps: "epsilon", v: "v_prediction", x0: "sample" };

/**
 * What is said beside the single file at `path`; nothing where there is no such file. `NAME.json` comes before `NAME.yaml`.
 * @throws {CheckpointError} naming the part that is not one of the known, or no object.
 */
export function readSidecar(path: string): Sidecar {
  const base = path.replace(/\.safetensors$/, ""), json = readOwn(`${base}.json`), yaml = readYaml(`${base}.yaml`);
  return yaml ? { ...json, scheduler: { ...yaml, ...json.scheduler } } : json;
}

/**
 * What the scheduler has of latent-diffusion's config, which other programmes read beside a checkpoint: what is predicted.
 * Its `use_ema` changes nothing: averaged copies of the weights are kept for training, and pictures are made with the plain.
 */
function readYaml(path: string): Json | undefined {
  if (!isFile(path)) return undefined;
  const text = readText(path);
  if (yamlText(text, ["model", "params"]) === undefined) return undefined; // not such a config
  const said = yamlText(text, ["model", "params", "parameterization"]) ?? "eps";
  if (Object.hasOwn(PREDICTIONS, said)) return { prediction_type: PREDICTIONS[said] };
  const known = Object.keys(PREDICTIONS).join(", ");
  throw new CheckpointError(`Cannot read ${path}: its parameterization is ${quote(said)}, and must be one of ${known}`);
}

function readOwn(own: string): Sidecar {
  if (!isFile(own)) return {};
  const said = readObject(own);
  for (const [part, fields] of Object.entries(said)) {
    if (!PARTS.some((known) => known === part)) {
      throw new CheckpointError(`Cannot read ${own}: it has "${part}", but may only have ${PARTS.join(", ")}`);
    }
    if (!isObject(fields)) throw new CheckpointError(`Cannot read ${own}: "${part}" is not an object of fields`);
    if (part === "defaults") checkDefaults(own, fields);
  }
  return said;
}
