/** What a model's weights are known by, without reading gigabytes. */
import { createHash } from "node:crypto";

/** Blocks of a file that are looked at, spread evenly, and their bytes. */
const blocks = 64, blockBytes = 4096;

/**
 * A digest of models' files: their names, sizes and times of change, and samples of their bytes. Other weights give
 * another digest; the same ones copied elsewhere may, too.
 */
export function weightsIdentity(paths: readonly string[]): string {
  const hash = createHash("sha256");
  for (const path of paths) {
    for (const file of filesOf(path)) addFile(hash, file, file.slice(path.length));
  }
  return hash.digest("base64url");
}

function addFile(hash: ReturnType<typeof createHash>, path: string, name: string): void {
  using file = Deno.openSync(path);
  const { size, mtime } = file.statSync();
  hash.update(JSON.stringify([name, size, mtime?.getTime()]));
  const block = new Uint8Array(blockBytes);
  const count = Math.min(blocks, Math.ceil(size / blockBytes));
  for (let i = 0; i < count; i++) {
    file.seekSync(Math.floor(i * (size - Math.min(size, blockBytes)) / Math.max(1, count - 1)), Deno.SeekMode.Start);
    hash.update(block.subarray(0, file.readSync(block) ?? 0));
  }
}

/** A file itself, or every file of a folder and of those in it, sorted. */
function filesOf(path: string): string[] {
  if (!Deno.statSync(path).isDirectory) return [path];
  const entries = [...Deno.readDirSync(path)].map(({ name }) => `${path}/${name}`).toSorted();
  return entries.flatMap(filesOf);
}
