/** Small files and folders beside weights, read with errors that name them. */
import { CheckpointError } from "./error.ts";

/** A JSON object as read from a file. */
export type Json = Readonly<Record<string, unknown>>;

/** The names in a folder, or undefined where there is no such folder. */
export function list(folder: string): string[] | undefined {
  try {
    return [...Deno.readDirSync(folder)].map(({ name }) => name);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory) return undefined;
    if (!(error instanceof Error)) throw error;
    throw new CheckpointError(`Cannot open ${folder}: ${error.message}`, { cause: error });
  }
}

/** Whether there is a regular file at `path`. */
export function isFile(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
}

/** The JSON object in a file. Throws a CheckpointError where it holds none. */
export function readObject(path: string): Json {
  let value: unknown;
  try {
    value = JSON.parse(readText(path));
  } catch (error) {
    if (error instanceof CheckpointError || !(error instanceof Error)) throw error;
    throw new CheckpointError(`Cannot read ${path}: ${error.message}`, { cause: error });
  }
  if (!isObject(value)) throw new CheckpointError(`Cannot read ${path}: it is not a JSON object`);
  return value;
}

/** The text of a file. Throws a CheckpointError where it cannot be read. */
export function readText(path: string): string {
  try {
    return Deno.readTextFileSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) throw new CheckpointError(`Cannot open ${path}: there is no such file`);
    if (!(error instanceof Error)) throw error;
    throw new CheckpointError(`Cannot read ${path}: ${error.message}`, { cause: error });
  }
}

/** Whether a parsed value is a JSON object. */
export function isObject(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
