/** Runs the cases of a folder of goldens: those of the host, then those of the device, then model by model. */
import { createBackend } from "../engine/model.ts";
import type { Precision } from "../engine/protocol.ts";
import { type Device, type DeviceOptions, openDevice } from "../gpu/device.ts";
import { ConfigError } from "../models/config.ts";
import { UnsupportedScheduleError } from "../samplers/mod.ts";
import type { Case } from "./cases.ts";
import { type Measure, NotHere } from "./compare.ts";
import { pictureCases } from "./e2e.ts";
import { fullCases } from "./full.ts";
import { hashCases, rngCases, tokenizerCases } from "./host.ts";
import { MODEL_CACHE } from "./materialise.ts";
import { findModel, LoadedModel, type ModelPlaces } from "./models.ts";
import { networkCases } from "./nets.ts";
import { readGoldens } from "./oracle.ts";
import { trajectoryCases } from "./trajectories.ts";

/** What to compare, with what. */
export interface ParityOptions {
  /** The folder of goldens. */
  folder: string;
  /** Only cases whose id contains this. */
  only?: string;
  /** Both where it is absent, and f16 only where the device has it. */
  precision?: Precision;
  /** A folder of model folders, looked through first. */
  models?: string;
  /** Also models of real sizes, which take gigabytes and minutes. */
  full?: boolean;
  /** Where models that are made are kept. */
  cache?: string;
  device?: DeviceOptions;
  /** Told what is being done, a line at a time. */
  log?(line: string): void;
}

/** One thing that came out: the device, a comparison, a case that was skipped or that failed before it could compare. */
export type Finding =
  | { type: "device"; name: string }
  | ({ type: "measure"; id: string; precision?: Precision } & Measure)
  | { type: "skip"; id: string; reason: string }
  | { type: "failure"; id: string; precision?: Precision; message: string };

/** Cases of the device that are waited for together: Deno takes 12 ms to say that a GPU is done. */
const atOnce = 64;

/**
 * Compares everything below the folder that the options ask for. Throws an Error where the folder has no goldens, no id
 * contains `only`, or no GPU is found when one is needed.
 */
export async function* runParity(options: ParityOptions): AsyncGenerator<Finding> {
  const { only = "", cache = MODEL_CACHE, log = () => {} } = options, goldens = readGoldens(options.folder);
  const full = fullCases(goldens, { run: options.full || only.includes("full"), cache });
  const all = [
    ...tokenizerCases(goldens),
    ...rngCases(goldens),
    ...hashCases(goldens),
    ...trajectoryCases(goldens),
    ...networkCases(goldens),
    ...pictureCases(goldens),
    ...full.cases,
  ];
  const cases = all.filter(({ id }) => id.includes(only));
  if (cases.length === 0) throw new Error(`No case of ${options.folder} has ${JSON.stringify(only)} in its name`);
  for (const name of only ? [] : goldens.others) {
    yield { type: "skip", id: name, reason: "its files are no numbers to compare: the project's tests read them" };
  }

  for (const one of cases) if (one.on === "host") yield* findings(one, one.compare);
  if (cases.every(({ on }) => on === "host")) return;
  using device = await openDevice(options.device);
  yield { type: "device", name: device.name };
  const onDevice = cases.filter((one) => one.on === "device");
  for (let i = 0; i < onDevice.length; i += atOnce) {
    const some = onDevice.slice(i, i + atOnce).map((one) => Array.fromAsync(findings(one, () => one.compare(device))));
    yield* (await Promise.all(some)).flat();
  }
  const places: ModelPlaces = { root: options.folder, models: options.models, cache, made: full.models };
  const precisions: Precision[] = options.precision ? [options.precision] : device.f16 ? ["f32", "f16"] : ["f32"];
  if (!options.precision && !device.f16) yield { type: "skip", id: "f16", reason: `${device.name} has no shader-f16` };
  for (const precision of precisions) {
    for (const [name, group] of Map.groupBy(cases.filter((one) => one.on === "model"), ({ model }) => model)) {
      log(`${precision} ${name}: ${group.length} cases`);
      yield* compareModel(name, group, { device, precision, places });
    }
  }
}

/** The cases of one model in one precision. */
async function* compareModel(
  name: string,
  cases: readonly Extract<Case, { on: "model" }>[],
  { device, precision, places }: { device: Device; precision: Precision; places: ModelPlaces },
): AsyncGenerator<Finding> {
  const backend = createBackend(device, precision);
  let model: LoadedModel | undefined;
  const load = () => model ??= new LoadedModel(backend, findModel(name, places));
  try {
    for (const one of cases) yield* findings(one, () => one.compare(load), precision);
  } finally {
    model?.[Symbol.dispose]();
  }
}

/** What a case compares; what it throws becomes a finding, so that the others are still run. */
async function* findings(
  { id }: Case,
  compare: () => Iterable<Measure> | AsyncIterable<Measure>,
  precision?: Precision,
): AsyncGenerator<Finding> {
  try {
    for await (const measure of compare()) yield { type: "measure", id, precision, ...measure };
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    const notHere = error instanceof NotHere || error instanceof ConfigError ||
      error instanceof UnsupportedScheduleError;
    if (notHere) yield { type: "skip", id, reason: error.message };
    else yield { type: "failure", id, precision, message: `${error.name}: ${error.message}` };
  }
}
