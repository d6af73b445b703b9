/** One file of a repository to the disk: in order, resumed where it broke off, checked against the hub's hash. */
import { dirname } from "node:path";
import { addFile, type Checksum, checksum } from "./checksum.ts";
import type { Hub, HubFile, Repository } from "./client.ts";
import { exists, formatBytes, isFull, makeFolder, sizeOf } from "./disk.ts";
import { HubError, Interruption } from "./error.ts";

/** How patient a download is. */
export interface Patience {
  /** Milliseconds before each further try; one that brought further bytes counts anew. */
  readonly pauses: readonly number[];
  /** Milliseconds without a byte after which a connection counts as broken. */
  readonly stallMs: number;
}

/** What files that are under way end with, before they have all their bytes and have been checked. */
export const PARTIAL = ".partial";

/** Takes how many bytes of a file are on the disk, and how many of them have just arrived. */
export type Observe = (have: number, arrived: number) => void;

/** Runs `attempt` until it is not interrupted. Throws a HubError where it is once more than there are pauses. */
export async function patiently<Result>(
  what: string,
  { pauses }: Patience,
  attempt: (restart: () => void) => Promise<Result>,
): Promise<Result> {
  for (let tried = 0;;) {
    try {
      return await attempt(() => tried = 0);
    } catch (error) {
      if (!(error instanceof Interruption)) throw error;
      if (tried === pauses.length) {
        throw new HubError(`Cannot ${what}: ${error.message}, the same command later goes on where this one stopped`);
      }
      await new Promise((resolve) => setTimeout(resolve, error.afterMs ?? pauses[tried]));
      tried++;
    }
  }
}

/** The text of a small file, checked. Throws as `download()` does. */
export function readText(hub: Hub, repository: Repository, file: HubFile, patience: Patience): Promise<string> {
  return patiently(`read ${file.path} of ${repository.name}`, patience, async () => {
    const response = await hub.file(repository, file.path);
    const bytes = await response.bytes().catch((cause) => {
      throw new Interruption("the connection broke off", { cause });
    });
    const sum = checksum(file);
    sum.update(bytes);
    if (!sum.matches()) throw wrongChecksum(repository, file);
    return new TextDecoder().decode(bytes);
  });
}

/**
 * Brings `file` to `path`, which appears when all bytes are there and have the right hash. What an earlier call left in
 * `path.partial` is gone on with.
 * @throws {HubError} where the hub refuses, the bytes are not those of the hash, the disk is full, or tries are used up
 */
export async function download(
  hub: Hub,
  repository: Repository,
  file: HubFile,
  path: string,
  patience: Patience,
  observe: Observe,
): Promise<void> {
  if (sizeOf(path) === file.bytes && holds(path, file)) return observe(file.bytes, 0);
  const partial = path + PARTIAL, began = sizeOf(partial);
  makeFolder(dirname(path));
  try {
    if (!await arrives(hub, repository, file, partial, patience, observe)) {
      // What lay there may have been of another commit, or was damaged: all of it again, once.
      discard(partial);
      if (began === 0 || !await arrives(hub, repository, file, partial, patience, observe)) {
        discard(partial);
        throw wrongChecksum(repository, file);
      }
    }
  } catch (error) {
    if (!isFull(error)) throw error;
    throw new HubError(
      `Cannot pull ${repository.name}: the disk is full after ${formatBytes(sizeOf(partial))} of ${file.path}, ` +
        "making room and the same command again would do",
      { cause: error },
    );
  }
  Deno.renameSync(partial, path);
  remove(partial + ETAG);
}

const ETAG = ".etag";

/** Receives until the file is whole; whether its hash is right. */
function arrives(
  hub: Hub,
  repository: Repository,
  file: HubFile,
  partial: string,
  patience: Patience,
  observe: Observe,
): Promise<boolean> {
  if (sizeOf(partial) > file.bytes) discard(partial);
  let sum = checksum(file);
  if (exists(partial)) addFile(sum, partial);
  observe(sizeOf(partial), 0);
  let furthest = sizeOf(partial);
  return patiently(`pull ${file.path} of ${repository.name}`, patience, async (restart) => {
    if (sizeOf(partial) === file.bytes && exists(partial)) return sum.matches();
    const connection = new AbortController();
    const response = await hub.file(repository, file.path, {
      begin: sizeOf(partial),
      etag: exists(partial + ETAG) ? Deno.readTextFileSync(partial + ETAG) : undefined,
      signal: connection.signal,
    });
    if (!goesOn(response, sizeOf(partial), file.bytes)) {
      // The server sends all of it, or ranges that do not fit: from the start, with this answer where it has it.
      remove(partial);
      sum = checksum(file);
      observe(0, 0);
      if (response.status !== 200) {
        await response.body?.cancel();
        throw new Interruption("the server sends another part of the file than was asked for", { afterMs: 0 });
      }
    }
    const etag = response.headers.get("etag");
    // A weak one says nothing of bytes.
    if (etag && !etag.startsWith("W/")) Deno.writeTextFileSync(partial + ETAG, etag);
    else remove(partial + ETAG);
    const seen = (have: number, arrived: number) => {
      observe(have, arrived);
      if (have <= furthest) return; // the same bytes over and over are no progress
      furthest = have;
      restart();
    };
    await append(response, partial, file, sum, { connection, stallMs: patience.stallMs, observe: seen });
    return sum.matches();
  });
}

/** Whether an answer continues after `begin` bytes. */
function goesOn({ status, headers }: Response, begin: number, bytes: number): boolean {
  if (begin === 0) return status === 200;
  const [, first, all] = /^bytes (\d+)-\d+\/(\d+|\*)$/.exec(headers.get("content-range") ?? "") ?? [];
  return status === 206 && Number(first) === begin && (all === "*" || Number(all) === bytes);
}

/** Writes what arrives behind what is there. Throws an Interruption where the connection ends early or stalls. */
async function append(
  response: Response,
  partial: string,
  { path, bytes }: HubFile,
  sum: Checksum,
  { connection, stallMs, observe }: { connection: AbortController; stallMs: number; observe: Observe },
): Promise<void> {
  using file = Deno.openSync(partial, { append: true, create: true });
  const stalled = new Interruption(`no byte arrived for ${Math.ceil(stallMs / 1000)} s`);
  let timer = setTimeout(() => connection.abort(stalled), stallMs);
  let have = file.statSync().size;
  try {
    for await (const piece of response.body ?? []) {
      clearTimeout(timer);
      have += piece.byteLength;
      if (have > bytes) throw new HubError(`Cannot pull ${path}: more than its ${bytes} bytes arrive, try it later`);
      for (let written = 0; written < piece.byteLength;) written += file.writeSync(piece.subarray(written));
      sum.update(piece);
      observe(have, piece.byteLength);
      timer = setTimeout(() => connection.abort(stalled), stallMs);
    }
    file.syncDataSync();
  } catch (error) {
    if (error instanceof HubError || error instanceof Interruption || isFull(error)) throw error;
    if (connection.signal.aborted) throw stalled;
    throw new Interruption("the connection broke off", { cause: error });
  } finally {
    clearTimeout(timer);
    connection.abort();
  }
  if (have < bytes) throw new Interruption("the connection ended early");
}

function holds(path: string, file: HubFile): boolean {
  const sum = checksum(file);
  addFile(sum, path);
  return sum.matches();
}

function wrongChecksum({ name }: Repository, { path }: HubFile): HubError {
  return new HubError(`Cannot pull ${name}: ${path} arrived with another checksum than the hub says, try it later`);
}

/** Removes what has arrived of a file. */
function discard(partial: string): void {
  remove(partial);
  remove(partial + ETAG);
}

function remove(path: string): void {
  if (exists(path)) Deno.removeSync(path);
}
