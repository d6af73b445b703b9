/** Which folder a model's name stands for. */
import { fileURLToPath } from "node:url";

/** The folder of models that comes with the programme. */
export const weightsFolder: URL = new URL("../../weights/", import.meta.url);

/** The model that is used where none is named. */
export const defaultModel = "tiny";

/** A name or path that leads to no model folder. */
export class ModelNotFoundError extends Error {
  override name = "ModelNotFoundError";
}

/**
 * The path of a model's folder: `model` itself where it has a slash or is a folder, else a folder of that name in
 * `modelsDir` or in `weights/`. A model folder holds a `model_index.json`.
 *
 * @throws ModelNotFoundError naming the models there are
 */
export function locateModel(model: string, { modelsDir }: { modelsDir?: string } = {}): string {
  const homes = [...(modelsDir ? [modelsDir] : []), fileURLToPath(weightsFolder)];
  const isPath = /[/\\]/.test(model) || isFolder(model);
  const candidates = isPath ? [model] : homes.map((home) => `${home.replace(/[/\\]$/, "")}/${model}`);
  const found = candidates.find(isFolder);
  if (found !== undefined) return found;
  if (isPath) throw new ModelNotFoundError(`Cannot find the model folder ${model}, a folder that exists would do`);
  const names = homes.flatMap(modelsIn).join(", ");
  throw new ModelNotFoundError(
    `Cannot find a model ${JSON.stringify(model)}, a folder's path or one of these would do: ${names}`,
  );
}

function modelsIn(home: string): string[] {
  if (!isFolder(home)) return [];
  const folders = [...Deno.readDirSync(home)].filter(({ isFile }) => !isFile).map(({ name }) => name).toSorted();
  return folders.filter((name) =>
    [...Deno.readDirSync(`${home}/${name}`)].some((file) => file.name === "model_index.json")
  );
}

function isFolder(path: string): boolean {
  try {
    return Deno.statSync(path).isDirectory;
  } catch {
    return false;
  }
}
