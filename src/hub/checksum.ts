/** What the hub says a file must hash to. */
import { createHash } from "node:crypto";
import type { HubFile } from "./client.ts";

const BLOCK = 1 << 20;

/** The running hash of a file whose bytes arrive in order. */
export interface Checksum {
  update(bytes: Uint8Array): void;
  /** Whether what was given is the file; ends the hash. */
  matches(): boolean;
}

/** The hash of a large file's bytes, or of a small one's as git stores it: behind the text `blob SIZE` and a zero. */
export function checksum({ bytes, hash: { kind, hex } }: HubFile): Checksum {
  const hash = createHash(kind === "sha256" ? "sha256" : "sha1");
  if (kind === "gitBlob") hash.update(`blob ${bytes}\0`);
  return { update: (piece) => void hash.update(piece), matches: () => hash.digest("hex") === hex };
}

/** Adds the bytes of the file at `path`. */
export function addFile(sum: Checksum, path: string): void {
  using file = Deno.openSync(path);
  const block = new Uint8Array(BLOCK);
  for (let count; (count = file.readSync(block)) !== null;) sum.update(block.subarray(0, count));
}
