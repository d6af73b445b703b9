/** A model from the hub into a folder of models: chosen, downloaded beside it, and moved there when whole. */
import { basename, join } from "node:path";
import { chooseFolder, chooseSingle } from "./choose.ts";
import { Hub, type HubFile, type Repository } from "./client.ts";
import { exists, formatBytes, freeBytes, makeFolder, sizeOf } from "./disk.ts";
import { download, PARTIAL, type Patience, patiently, readText } from "./download.ts";
import { HubError } from "./error.ts";

/** What to bring, and where to. */
export interface PullOptions {
  hub: Hub;
  /** `owner/name` for a model folder, `owner/name/FILE.safetensors` for a single file. */
  name: string;
  /** A branch, a tag or a commit. */
  revision?: string;
  /** The folder of models. */
  modelsDir: string;
  /** What the model is called there, where not as on the hub. */
  as?: string;
  /** Of the names in a component's folder the weights to take, or the index of their shards. */
  weights(names: readonly string[]): string | undefined;
  /** Takes how far the download is; `path` is the file under way. */
  observe?: (progress: PullProgress) => void;
  patience?: Patience;
}

/** How far a download is, in bytes of all files. */
export interface PullProgress {
  path: string;
  /** On the disk, of this and earlier calls. */
  done: number;
  total: number;
  /** Arrived in this call: what its rate is told from. */
  received: number;
}

/** The folder in a folder of models where downloads lie that are not whole: nothing in it is a model. */
export const DRAFTS = ".pull";

const PATIENCE: Patience = { pauses: [1000, 2000, 4000, 8000, 16000], stallMs: 60_000 };

/**
 * Downloads a model and returns its path in `modelsDir`. What an interrupted call has brought is gone on with.
 * @throws {HubError} in one sentence, whatever went wrong: nothing is then in `modelsDir` but the draft
 */
export async function pull(
  { hub, name, revision = "main", modelsDir, as, weights, observe = () => {}, patience = PATIENCE }: PullOptions,
): Promise<string> {
  const [, owner, model, inner] = /^([\w.-]+)\/([\w.-]+)(?:\/(.+))?$/.exec(name) ?? [];
  if (!model || [owner, model].some((part) => /^\.+$/.test(part))) {
    throw new HubError(`Cannot pull ${JSON.stringify(name)}, owner/name or owner/name/file.safetensors would do`);
  }
  const called = as ?? (inner ? basename(inner).replace(/\.safetensors$/, "") : model);
  if (!/^\w[\w.+ -]*$/.test(called)) {
    throw new HubError(`Cannot call a model ${JSON.stringify(called)}, --as with letters, digits, - and _ would do`);
  }
  const target = join(modelsDir, inner ? `${called}.safetensors` : called);
  if (exists(target)) {
    throw new HubError(`Cannot pull ${name}: ${target} is there already, removing it or another --as would do`);
  }

  const repository = await patiently(`pull ${name}`, patience, () => hub.open(`${owner}/${model}`, revision));
  const read = (file: HubFile) => readText(hub, repository, file, patience);
  const files = inner ? chooseSingle(repository, inner) : await chooseFolder(repository, { read, weights });
  checkPaths(repository, files);

  const drafts = join(modelsDir, DRAFTS), draft = join(drafts, name.replaceAll("/", "--"));
  makeFolder(draft);
  using _lock = lock(`${draft}.lock`, name);
  checkRoom(repository, files, draft);
  const total = sum(files.map(({ bytes }) => bytes));
  let before = 0, received = 0;
  for (const file of files) {
    const { path } = file;
    await download(hub, repository, file, join(draft, path), patience, (have, arrived) => {
      received += arrived;
      observe({ path, done: before + have, total, received });
    });
    before += file.bytes;
  }
  if (inner) moveSingle(draft, inner, files, target);
  else moveFolder(draft, files, target);
  return target;
}

/** Nothing that a hub says may lead out of the draft, on any system. */
function checkPaths({ name }: Repository, files: readonly HubFile[]): void {
  for (const { path } of files) {
    const parts = path.split("/");
    if (parts.every((part) => /^[^\\:\0]+$/.test(part) && !/^\.+$/.test(part) && !part.endsWith(PARTIAL))) continue;
    throw new HubError(`Cannot pull ${name}: its file ${JSON.stringify(path)} has no name that can be written`);
  }
}

function checkRoom({ name }: Repository, files: readonly HubFile[], draft: string): void {
  const toCome = sum(files.map(({ path, bytes }) => {
    const there = join(draft, path);
    return Math.max(0, bytes - (exists(there) ? sizeOf(there) : sizeOf(there + PARTIAL)));
  }));
  const free = freeBytes(draft);
  if (toCome <= free) return;
  throw new HubError(
    `Cannot pull ${name}: ${formatBytes(toCome)} are to come and the disk has room for ${formatBytes(free)}, ` +
      "making room or another MODELS_DIR would do",
  );
}

/** The draft becomes the model in one step, without what an earlier call wanted and this one does not. */
function moveFolder(draft: string, files: readonly HubFile[], target: string): void {
  const wanted = new Set(files.map(({ path }) => path));
  const clean = (folder: string) => {
    for (const { name, isDirectory } of Deno.readDirSync(join(draft, folder))) {
      const path = folder ? `${folder}/${name}` : name;
      if (isDirectory && [...wanted].some((file) => file.startsWith(`${path}/`))) clean(path);
      else if (!wanted.has(path)) Deno.removeSync(join(draft, path), { recursive: true });
    }
  };
  clean("");
  Deno.renameSync(draft, target);
}

/** What stands beside the model goes first: a model that is there is whole. */
function moveSingle(draft: string, model: string, files: readonly HubFile[], target: string): void {
  const base = target.replace(/\.safetensors$/, "");
  for (const { path } of files) {
    if (path !== model) Deno.renameSync(join(draft, path), base + path.slice(path.lastIndexOf(".")));
  }
  Deno.renameSync(join(draft, model), target);
  Deno.removeSync(draft, { recursive: true });
}

/** Keeps another process from writing the same draft; gone with the process, however it ends. */
function lock(path: string, name: string): Disposable {
  const file = Deno.openSync(path, { create: true, write: true });
  if (!file.tryLockSync(true)) {
    file.close();
    throw new HubError(`Cannot pull ${name}: another process is pulling it, waiting for its end would do`);
  }
  return {
    [Symbol.dispose]() {
      Deno.removeSync(path);
      file.close();
    },
  };
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
