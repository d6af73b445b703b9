/** What was measured of an adapter, kept in a file: which of the kernels run fastest there. See tune.ts, which measures. */
import { createHash } from "node:crypto";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import type { AdapterIdentity, Way } from "../gpu/device.ts";
import type { Kernel } from "../gpu/kernel.ts";
import type { TileSize } from "../graph/graph.ts";
import { attentionKernels } from "../ops/attention.ts";
import { matmulKernels } from "../ops/matmul.ts";
import { layerNormKernels } from "../ops/norm.ts";
import { winogradKernels } from "../ops/winograd.ts";

/** What is chosen for one adapter. */
export interface Tuning extends Way {
  /** Where another tile than the usual one is faster: see ops/tiles.ts. */
  tiles: Readonly<Record<string, TileSize>>;
}

/** What was chosen, and for what. */
interface Measurement extends Tuning, Pick<AdapterIdentity, "fingerprint"> {}

/** By the name of the adapter. */
export type Tunings = Readonly<Record<string, Measurement>>;

/** The kernels that are others by other ways, or in other tiles: what was measured of others says nothing. */
export const chosenKernels: readonly Kernel[] = [
  ...matmulKernels,
  ...attentionKernels,
  ...winogradKernels,
  ...layerNormKernels,
];

/** Where it is kept. */
export const tuningPath = fileURLToPath(new URL("../../.cache/tuning.json", import.meta.url));

/** What lines of the log end with that say why a choice is passed over. */
const again = "which kernels suit the GPU is not known, `deno task tune` finds out";

interface File {
  /** Of what was compiled, and by which Deno. */
  kernels: string;
  adapters: Tunings;
}

function kernelsDigest(): string {
  const hash = createHash("sha256").update(Deno.version.deno);
  for (const { name, source } of chosenKernels) hash.update(JSON.stringify([name, source]));
  return hash.digest("base64url").slice(0, 16);
}

/** What is chosen for an adapter; nothing, and a line in the log, where what was measured was of another driver or backend. */
export function tuningOf(
  tunings: Tunings,
  { name, fingerprint }: AdapterIdentity,
  log: (line: string) => void = () => {},
): Tuning | undefined {
  if (!Object.hasOwn(tunings, name)) return undefined;
  const { fingerprint: measured, ...tuning } = tunings[name];
  if (measured === fingerprint) return tuning;
  log(`${name} was measured with another driver or backend: ${again}`);
  return undefined;
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
  try {
    const adapters = readAdapters(text);
    if (adapters) return adapters;
    log(`${path} was measured with other kernels, or by another Deno: ${again}`);
  } catch (error) {
    log(`Cannot use ${path}: ${(error as Error).message}; ${again}`);
  }
  return {};
}

/** The adapters of a file; `undefined` where it is of other kernels, by whose version it may look otherwise. */
function readAdapters(text: string): Tunings | undefined {
  const file: unknown = JSON.parse(text);
  if (!isObject(file) || typeof file.kernels !== "string" || !isObject(file.adapters)) {
    throw new Error("it has no kernels and adapters");
  }
  if (file.kernels !== kernelsDigest()) return undefined;
  for (const [name, measured] of Object.entries(file.adapters)) {
    if (!isMeasurement(measured)) throw new Error(`its adapter ${JSON.stringify(name)} is ${JSON.stringify(measured)}`);
  }
  return file.adapters as Tunings;
}

function isMeasurement(value: unknown): value is Measurement {
  return isObject(value) && typeof value.fingerprint === "string" && typeof value.subgroups === "boolean" &&
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
export function writeTuning(path: string, { name, fingerprint }: AdapterIdentity, tuning: Tuning): void {
  const adapters: Tunings = { ...readTunings(path, () => {}), [name]: { fingerprint, ...tuning } };
  Deno.mkdirSync(dirname(path), { recursive: true });
  const file: File = { kernels: kernelsDigest(), adapters }, next = `${path}.next`;
  Deno.writeTextFileSync(next, `${JSON.stringify(file, undefined, 2)}\n`);
  Deno.renameSync(next, path);
}
