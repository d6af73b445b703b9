/** What was measured of an adapter, kept in a file: which of the kernels run fastest there. See tune.ts, which measures. */
import { createHash } from "node:crypto";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import type { Way } from "../gpu/device.ts";
import type { TileSize } from "../graph/graph.ts";
import { matmulKernels } from "../ops/matmul.ts";

/** What is chosen for one adapter. */
export interface Tuning extends Way {
  /** Where another tile than the usual one is faster: see ops/tiles.ts. */
  tiles: Readonly<Record<string, TileSize>>;
}

/** By the name of the adapter. */
export type Tunings = Readonly<Record<string, Tuning>>;

/** Where it is kept. */
export const tuningPath = fileURLToPath(new URL("../../.cache/tuning.json", import.meta.url));

/** The file: what was measured of other kernels says nothing. */
interface File {
  kernels: string;
  adapters: Tunings;
}

function kernelsDigest(): string {
  const hash = createHash("sha256");
  for (const { name, source } of matmulKernels) hash.update(JSON.stringify([name, source]));
  return hash.digest("base64url").slice(0, 16);
}

/** What a choice is known by: other kernels may round otherwise. */
export function tuningDigest({ subgroups, weightStorage, tiles }: Tuning): string {
  const material = JSON.stringify([subgroups, weightStorage, Object.entries(tiles).toSorted()]);
  return createHash("sha256").update(material).digest("base64url").slice(0, 8);
}

/** What was measured on this machine; nothing, and a line in the log, where it was of other kernels or cannot be read. */
export function readTunings(path: string, log: (line: string) => void): Tunings {
  let text: string;
  try {
    text = Deno.readTextFileSync(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) log(`Cannot read ${path}: ${(error as Error).message}`);
    return {};
  }
  const again = "which kernels suit the GPU is not known, `deno task tune` finds out";
  try {
    const { kernels, adapters } = readFile(text);
    if (kernels === kernelsDigest()) return adapters;
    log(`${path} was measured with other kernels: ${again}`);
  } catch (error) {
    log(`Cannot use ${path}: ${(error as Error).message}; ${again}`);
  }
  return {};
}

function readFile(text: string): File {
  const file: unknown = JSON.parse(text);
  if (!isObject(file) || typeof file.kernels !== "string" || !isObject(file.adapters)) {
    throw new Error("it has no kernels and adapters");
  }
  for (const [name, tuning] of Object.entries(file.adapters)) {
    if (!isTuning(tuning)) throw new Error(`its adapter ${JSON.stringify(name)} is ${JSON.stringify(tuning)}`);
  }
  return file as unknown as File;
}

function isTuning(value: unknown): value is Tuning {
  return isObject(value) && typeof value.subgroups === "boolean" &&
    (value.weightStorage === "buffer" || value.weightStorage === "texture") &&
    isObject(value.tiles) && Object.values(value.tiles).every(isTile);
}

function isTile(value: unknown): value is TileSize {
  const isSide = (side: unknown, most: number) => Number.isInteger(side) && Number(side) >= 1 && Number(side) <= most;
  return isObject(value) && isSide(value.rows, 128) && isSide(value.columns, 2);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Adds what was measured of one adapter, in place of what was known of it; that of other kernels goes. */
export function writeTuning(path: string, adapter: string, tuning: Tuning): void {
  const adapters = { ...readTunings(path, () => {}), [adapter]: tuning };
  Deno.mkdirSync(dirname(path), { recursive: true });
  const file: File = { kernels: kernelsDigest(), adapters }, next = `${path}.next`;
  Deno.writeTextFileSync(next, `${JSON.stringify(file, undefined, 2)}\n`);
  Deno.renameSync(next, path);
}
