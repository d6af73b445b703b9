/** `NAME.json` beside `NAME.safetensors`: what the tensors of a single file do not show. */
import { checkDefaults, type FolderDefaults } from "./defaults.ts";
import { CheckpointError } from "./error.ts";
import { isFile, isObject, type Json, readObject } from "./files.ts";

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

/**
 * What is said beside the single file at `path`; nothing where there is no such file.
 * @throws {CheckpointError} naming the part that is not one of the known, or no object.
 */
export function readSidecar(path: string): Sidecar {
  const own = path.replace(/\.safetensors$/, "") + ".json";
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
