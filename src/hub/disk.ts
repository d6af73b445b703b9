/** Files and folders as downloads need them: sizes, room, and errors that say what is full. */
import { statfsSync } from "node:fs";
import { dirname } from "node:path";
import { HubError } from "./error.ts";

/** The size of the file at `path`; 0 where there is none. */
export function sizeOf(path: string): number {
  return stat(path)?.size ?? 0;
}

/** Whether anything is at `path`. */
export function exists(path: string): boolean {
  return stat(path) !== undefined;
}

function stat(path: string): Deno.FileInfo | undefined {
  try {
    return Deno.statSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory) return undefined;
    throw error;
  }
}

/** Bytes that may still be written in `folder`, which may not be there yet; Infinity where the system does not say. */
export function freeBytes(folder: string): number {
  let there = folder;
  while (!exists(there) && dirname(there) !== there) there = dirname(there);
  const { bavail, bsize, blocks } = statfsSync(there);
  return blocks === 0 ? Infinity : bavail * bsize;
}

/** Whether an error says that the disk, or the user's part of it, is full. */
export function isFull(error: unknown): boolean {
  return error instanceof Error && /os error (28|112|122)\b|ENOSPC|EDQUOT/.test(error.message);
}

/** A size as people read it. */
export function formatBytes(bytes: number): string {
  if (bytes < 1e6) return `${(bytes / 1e3).toFixed(1)} kB`;
  return bytes < 1e9 ? `${(bytes / 1e6).toFixed(1)} MB` : `${(bytes / 1e9).toFixed(2)} GB`;
}

/** Makes a folder. Throws a HubError where it cannot. */
export function makeFolder(path: string): void {
  try {
    Deno.mkdirSync(path, { recursive: true });
  } catch (error) {
    const reason = error instanceof Error ? error.message : error;
    throw new HubError(`Cannot make the folder ${path}: ${reason}, another MODELS_DIR would do`);
  }
}
