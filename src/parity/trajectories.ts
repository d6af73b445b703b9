/** The samplers' trajectories under a closed-form denoiser: the rows in plain loops, and through the engine's kernel. */
import { encodeRow } from "../engine/pipeline.ts";
import type { Device } from "../gpu/device.ts";
import { Graph } from "../graph/graph.ts";
import { freeze } from "../graph/plan.ts";
import { advance, HISTORY_SLOTS, ROW_LENGTH } from "../ops/latents.ts";
import { createTrajectory, findSampler, type SamplerName, type SchedulerJson } from "../samplers/mod.ts";
import { placeHistory } from "../samplers/history.ts";
import { type Step, type Trajectory, UnknownSamplerError } from "../samplers/mod.ts";
import { type Case, once } from "./cases.ts";
import { largestDifference, type Measure, NotHere, TOLERANCES } from "./compare.ts";
import { normal } from "./hash_weights.ts";
import { type Fixture, type Goldens, Tensors } from "./oracle.ts";

interface TrajectoryCase {
  name: string;
  scheduler: string;
  options: SchedulerJson;
  step_options: Record<string, number>;
  steps: number;
  strength?: number;
  /** Tensor of [rows, …latents]: those before each row and last, or only `rows` of them. */
  trajectory: string;
  /** Which latents are stored: all, or of more than 100 steps a few. */
  rows?: number[];
}

interface TrajectoryIndex {
  cases: TrajectoryCase[];
  tensors: string;
}

/** Every trajectory twice: on the host, and with the GPU's `advance`. */
export function* trajectoryCases(goldens: Goldens): Generator<Case> {
  if (!goldens.schedulers) return;
  const fixture = goldens.schedulers as unknown as Fixture<TrajectoryIndex>;
  const keys = keyPrefixes(goldens), floats = once(() => readAll(fixture));
  const measure = (group: string, error: number): Measure => ({ group, error, tolerance: TOLERANCES.schedulers });
  for (const one of fixture.index.cases) {
    const id = `${fixture.id}/${one.name}`;
    yield {
      id,
      on: "host",
      *compare() {
        const run = new Run(floats(), one, keys);
        yield measure("schedulers", run.errorOf(runOnHost(run).latents));
      },
    };
    yield {
      id,
      on: "device",
      async *compare(device) {
        const run = new Run(floats(), one, keys);
        yield measure("schedulers on the GPU", run.errorOfLast(await runOnGpu(run, device)));
      },
    };
  }
}

/** The sampler here that is the reference's class of that name with these options; undefined without one. */
export function samplerOf(schedulerClass: string, options: SchedulerJson): SamplerName | undefined {
  try {
    const { sampler } = findSampler(schedulerClass);
    return sampler === "dpmpp_2m" && options.algorithm_type === "sde-dpmsolver++" ? "dpmpp_2m_sde" : sampler;
  } catch (error) {
    if (error instanceof UnknownSamplerError) return undefined;
    throw error;
  }
}

/** m(x, t)[j] = 0.35 x[j] + 0.25 sin(t / 157 + 0.1 j) + 0.1 tanh(x[j]): the denoiser of the goldens. */
export function toyModel(x: Float32Array, timestep: number): Float32Array {
  return x.map((value, j) => 0.35 * value + 0.25 * Math.sin(timestep / 157 + 0.1 * j) + 0.1 * Math.tanh(value));
}

/** Every tensor of the fixture by its name: one file of small ones, read once for a thousand cases. */
type Floats = (name: string) => Float32Array<ArrayBuffer>;

function readAll(fixture: Fixture<TrajectoryIndex>): Floats {
  using tensors = new Tensors(fixture);
  const names = ["noise", "init", "x0", ...fixture.index.cases.map(({ trajectory }) => trajectory)];
  const all = new Map(names.map((name) => [name, tensors.floats(name)]));
  return (name) => all.get(name)!;
}

/** One trajectory with its inputs. */
class Run {
  readonly trajectory: Trajectory;
  readonly start: Float32Array;
  readonly #golden: Float32Array<ArrayBuffer>;
  readonly #case: TrajectoryCase;
  readonly #stored: Float32Array;
  #prefix?: string;

  constructor(floats: Floats, one: TrajectoryCase, readonly keyPrefixes: readonly string[]) {
    const { scheduler, options, step_options, steps, strength } = one;
    const sampler = samplerOf(scheduler, options);
    if (!sampler) throw new NotHere(`there is no sampler for ${scheduler}`);
    const { eta, s_churn: churn, s_noise: churnNoise, ...others } = step_options;
    const [other] = Object.keys(others);
    if (other) throw new NotHere(`steps take no ${other}`);
    this.#case = one;
    this.trajectory = createTrajectory(sampler, options, { steps, strength, eta, churn, churnNoise });
    this.#golden = floats(one.trajectory);
    this.#stored = floats("noise");
    const { initialScale, start } = this.trajectory, init = floats("init");
    const clean = strength === undefined ? undefined : floats("x0");
    this.start = clean
      ? init.map((n, j) => start.signal * clean[j] + start.noise * n)
      : init.map((n) => initialScale * n);
  }

  /** Draw k: a stored row, or beyond those the normals of the rule that the stored ones follow. */
  noise(k: number): Float32Array {
    const count = this.start.length, row = this.#stored.slice(k * count, (k + 1) * count);
    if (row.length > 0) return row;
    this.#prefix ??= this.keyPrefixes.find((prefix) => normal(`${prefix}/noise/0`, 1)[0] === this.#stored[0]);
    if (!this.#prefix) throw new NotHere(`it needs more noise than the ${this.#stored.length / count} draws stored`);
    return normal(`${this.#prefix}/noise/${k}`, count);
  }

  /** Of the latents before each step and last that are stored. */
  errorOf(latents: Float32Array[]): number {
    const last = latents.length - 1;
    const few = last > 100 ? [0, 1, 2, this.#case.steps >> 1, last] : [...latents.keys()];
    const kept = this.#case.rows ?? few;
    const found = new Float32Array(kept.length * this.start.length);
    for (const [i, row] of kept.entries()) found.set(latents[row], i * this.start.length);
    return largestDifference(found, this.#golden);
  }

  /** Of the final latents. */
  errorOfLast(latents: Float32Array): number {
    return largestDifference(latents, this.#golden.slice(-this.start.length));
  }
}

/** Plain loops of what `Step` says, in single precision: the latents before each step and last, and the outputs. */
function runOnHost(run: Run): { latents: Float32Array[]; outputs: Float32Array[] } {
  let draws = 0, saved = run.start;
  const all = [run.start], outputs: Float32Array[] = [], history: Float32Array[] = [];
  for (const step of run.trajectory.steps) {
    const latents = all.at(-1)!, output = toyModel(latents.map((value) => step.inputScale * value), step.timestep);
    const raw = latents.map((value, j) => step.skip * value + step.out * output[j]);
    history.unshift(clipped(raw, step));
    if (step.saves) saved = latents;
    const n = step.noise === 0 ? undefined : run.noise(draws++);
    outputs.push(output);
    all.push(latents.map((value, j) => {
      const predicted = step.denoised.reduce((sum, weight, k) => weight ? sum + weight * history[k][j] : sum, 0);
      const fromSaved = (step.fromSaved ?? 0) * saved[j];
      return step.x * value + predicted + fromSaved + (step.unclipped ?? 0) * raw[j] + step.noise * (n?.[j] ?? 0);
    }));
  }
  return { latents: all, outputs };
}

function clipped(raw: Float32Array, { clip }: Step): Float32Array {
  return clip === undefined ? raw : raw.map((value) => Math.min(Math.max(value, -clip), clip));
}

/** The final latents of the rows as the engine encodes and applies them, with the denoiser's outputs in the host's run. */
async function runOnGpu(run: Run, device: Device): Promise<Float32Array> {
  const { subgroupSize, weightStorage } = device, shape = [1, 1, 1, run.start.length];
  const types = { weightType: "f32", operandType: "f32", hiddenType: "f32" } as const;
  const graph = new Graph({ subgroupSize, weightStorage, ...types });
  const [latents, prediction, noise] = ["latents", "prediction", "noise"].map((name) =>
    graph.input(name, shape, "f32")
  );
  const history = graph.input("history", [HISTORY_SLOTS, ...shape], "f32"),
    row = graph.input("row", [ROW_LENGTH], "f32");
  advance({ latents, history, prediction, noise, row });
  using plan = freeze(device, graph);

  let draws = 0;
  const { outputs } = runOnHost(run), places = placeHistory(run.trajectory.steps, HISTORY_SLOTS);
  plan.write("latents", run.start);
  for (const [i, step] of run.trajectory.steps.entries()) {
    plan.write("prediction", outputs[i]);
    if (step.noise !== 0) plan.write("noise", run.noise(draws++));
    plan.write("row", encodeRow(step, places[i], 1));
    plan.run();
  }
  return await plan.read("latents");
}

/** What keys of schedulers may start with: a set's name is the first part of its other keys. */
function keyPrefixes({ networks, pictures, full }: Goldens): string[] {
  const keys = [...networks, ...full].flatMap(({ index }) => index.cases.map(({ key }) => key));
  const names = [...keys, ...pictures.map(({ index }) => index.key)].flatMap((key) => String(key).split("/")[0]);
  return [...new Set(names)].map((name) => `${name}/sched`);
}
