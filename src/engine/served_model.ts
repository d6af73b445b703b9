/** One model as requests see it: its networks, tokenizer, schedule and defaults, making one picture at a time. */
import { basename, resolve } from "node:path";
import type { ModelFolder } from "../checkpoint/folder.ts";
import { openModel } from "../checkpoint/model.ts";
import {
  createTrajectory,
  defaultEta,
  parseSchedulerJson,
  type SamplerName,
  type SchedulerJson,
  type Trajectory,
  type TrajectoryOptions,
  UnsupportedScheduleError,
} from "../samplers/mod.ts";
import type { Prediction } from "../samplers/step.ts";
import { joined } from "../tensor/join.ts";
import { type ClipTokenizer, loadTokenizer } from "../tokenizer/clip.ts";
import { type CanvasSize, latentShape } from "./canvas.ts";
import type { Component } from "./component.ts";
import { planPrompt, type PromptOptions, type PromptPlan, PromptTooLongError } from "./conditioning.ts";
import { Embeddings } from "./embeddings.ts";
import { lowerFirst } from "./fields.ts";
import { sizeLimits } from "./limits.ts";
import { type BatchEvent, type BatchPicture, makeBatch, stepsOf } from "./making.ts";
import { type Backend, inPrecision, openStableDiffusion, type StableDiffusion, usualPrecision } from "./model.ts";
import { type Noise, noiseOf } from "./noise.ts";
import { Pipeline } from "./pipeline.ts";
import type { JobEvent, ModelDefaults, ModelInfo, Precision } from "./protocol.ts";
import { type GenerateRequest, parseRequest, RequestError } from "./request.ts";
import { RefusedError } from "./refused.ts";
import { BudgetError } from "./residency.ts";
import { eachPicture } from "./tasks.ts";
import { type EngineJob, eventsOfJobs, failureOf, whenAll } from "./together.ts";
import { type Pass, type Prompts, shapeOf, Verdicts } from "./verdicts.ts";

/** An event of a job without the job's id. */
export type Progress = JobEvent extends infer Event ? Event extends { id: string } ? Omit<Event, "id"> : never : never;

/** A request that has been looked at: what its passes run, and how many tokens its prompts lost. */
interface Prepared {
  trajectories: readonly Trajectory[];
  passes: readonly Pass[];
  truncatedTokens: number;
}

/** Bytes of host memory that the hidden states of one prompt's texts may take. */
const promptBytes = 256 << 20;

/** Milliseconds of a step after which warming up waits for no second one. */
const longMs = 1000;

/** Defaults of a folder without defaults.json. */
const fallback = { steps: 20, guidanceScale: 7, sampler: "euler_a", scheduler: "automatic" };

/** The name of the model at a path: the folder's, or the file's without `.safetensors`. */
function modelName(path: string): string {
  return basename(resolve(path)).replace(/\.safetensors$/, "");
}

/** A prompt's plan. @throws {RefusedError} when it is too long. */
function readPrompt(field: string, plan: () => PromptPlan): PromptPlan {
  try {
    return plan();
  } catch (cause) {
    if (!(cause instanceof PromptTooLongError)) throw cause;
    const message = `Field ${field} is too long: its parts, and the texts that they change into, have more than ` +
      `${cause.mostChunks} chunks of 75 tokens, fewer or shorter ones would do`;
    throw new RefusedError(message, { field, cause });
  }
}

/** Model calls of a run of which none is left out: second-order samplers have two a step. Schedules are spread over them. */
function callsOf({ steps }: Trajectory, count: number, strength: number): number {
  const taken = Math.max(1, Math.floor(count * strength));
  return count * (steps.length > 1.5 * taken ? 2 : 1);
}

export class ServedModel implements Disposable {
  readonly pipeline: Pipeline;
  readonly info: ModelInfo;
  readonly #tokenizer: ClipTokenizer;
  readonly #embeddings: Embeddings;
  readonly #schedule: SchedulerJson;
  readonly #verdicts: Verdicts;

  private constructor(
    readonly model: StableDiffusion,
    folder: ModelFolder,
    { path, embeddings, log }: { path: string; embeddings?: readonly string[]; log: (line: string) => void },
  ) {
    this.pipeline = new Pipeline(model);
    this.#verdicts = new Verdicts(model);
    this.#tokenizer = loadTokenizer(folder.folder("tokenizer"), { padToken: folder.padToken });
    this.#embeddings = new Embeddings(embeddings ?? [], {
      width: model.textEncoder.config.hidden_size,
      tokens: (text) => this.#tokenizer.tokens(text),
      log,
    });
    this.#schedule = parseSchedulerJson(folder.scheduler ?? "{}");
    this.info = {
      model: {
        name: model.name,
        defaults: defaultsOf(folder, model),
        textWidth: model.textEncoder.config.hidden_size,
      },
      precision: model.backend.precision,
      limits: sizeLimits(model),
    };
    this.#checkDefaults(path);
  }

  /**
   * Opens a model's small files and headers; its weights are read when a stage needs them.
   * @throws {Error} when it is no model that runs here, saying why.
   */
  static open(
    backend: Backend,
    path: string,
    { folder = openModel(path), precision, embeddings, log }: {
      folder?: ModelFolder;
      /** Chosen by model and adapter where absent. */
      precision?: Precision;
      /** Folders of textual inversions. */
      embeddings?: readonly string[];
      log: (line: string) => void;
    },
  ): ServedModel {
    const own = inPrecision(backend, precision ?? usualPrecision(backend.device, folder));
    const model = openStableDiffusion(own, folder, { name: modelName(path), log });
    return new ServedModel(model, folder, { path, embeddings, log });
  }

  /**
   * Makes a request's pictures. Stops between two steps, with a `cancelled` event, once `signal` is aborted.
   * @throws {RefusedError} when the request cannot be run as it is.
   */
  async *generate(request: GenerateRequest, signal: AbortSignal): AsyncGenerator<Progress> {
    const prepared = this.#prepare(request), { n = 1, iterations = 1, previews = 0 } = request;
    yield { type: "started", truncatedTokens: prepared.truncatedTokens };
    this.pipeline.begin();
    const together = this.#verdicts.together(n, prepared.passes), perRound = Math.ceil(n / together);
    const perBatch = stepsOf(prepared.trajectories), steps = perBatch * perRound * iterations;
    const all = eachPicture(request), isWanted = () => !signal.aborted;
    for (let first = 0, done = 0; first < all.length; done += perBatch) {
      const images = Math.min(together, n - first % n);
      const batch = all.slice(first, first + images).map((picture) => ({ ...prepared, picture, previews, isWanted }));
      for await (const event of this.#makeBatch(batch, signal)) {
        if (event.type === "step") yield { ...event, step: done + event.step, steps, pictures: images };
        else if (event.type === "preview") yield { ...event, image: first + event.image, step: done + event.step };
        else if (event.type === "rows") yield { ...event, image: first + event.image };
        else if (event.type === "stage") {
          const { image: _, ...stage } = event;
          yield stage;
        }
      }
      if (signal.aborted) return yield { type: "cancelled" };
      first += images;
    }
    yield { type: "done", timing: this.pipeline.stages.sums };
  }

  /**
   * Makes the pictures of several jobs, each of one, that differ in prompts, seeds and previews alone, in one batch: the first's
   * and those whose prompts are as long and composed alike, as many as memory lets it be. The others are deferred. One that is
   * refused fails alone.
   */
  async *together(given: readonly EngineJob[]): AsyncGenerator<JobEvent> {
    const ready = yield* this.#prepareEach(given);
    if (ready.length === 0) return;
    const [first] = ready, shape = ({ passes: [{ prompts }] }: Prepared) => shapeOf(prompts);
    const alike = ready.filter((one) => shape(one) === shape(first));
    const batch = alike.slice(0, this.#verdicts.together(alike.length, first.passes));
    for (const one of ready) if (!batch.includes(one)) yield { type: "deferred", id: one.job.id };
    for (const { job: { id }, truncatedTokens } of batch) yield { type: "started", id, truncatedTokens };
    this.pipeline.begin();
    const pictures = batch.map((one) => {
      const { request: { previews = 0 }, signal } = one.job;
      return { ...one, picture: one.job.request, previews, isWanted: () => !signal.aborted };
    });
    const jobs = batch.map(({ job }) => job);
    const events = this.#makeBatch(pictures, whenAll(jobs.map(({ signal }) => signal)));
    const timing = () => ({ ...this.pipeline.stages.sums });
    yield* eventsOfJobs(events, jobs, { steps: stepsOf(first.trajectories), timing });
  }

  /** Prepares jobs that are wanted; those that are not, and those that are refused, end. */
  async *#prepareEach(jobs: readonly EngineJob[]): AsyncGenerator<JobEvent, (Prepared & { job: EngineJob })[]> {
    const ready: (Prepared & { job: EngineJob })[] = [];
    for (const job of jobs) {
      const { id, request, signal } = job;
      try {
        if (signal.aborted) yield { type: "cancelled", id };
        else ready.push({ job, ...this.#prepare(request) });
      } catch (error) {
        if (!(error instanceof RefusedError)) throw error;
        yield { type: "failed", id, error: failureOf(error) };
      }
    }
    return ready;
  }

  /** What a request's passes run. @throws {RefusedError} when it cannot be run as it is. */
  #prepare(request: GenerateRequest): Prepared {
    const { width, height, hires, tiling, tokenMerging } = request;
    this.#verdicts.checkSize(height, width);
    if (hires) this.#verdicts.checkSize(hires.height, hires.width);
    if (request.initSize) this.#verdicts.checkSize(request.initSize.height, request.initSize.width);
    const trajectories = this.#trajectories(request), [prompts, again] = this.#prompts(request, trajectories);
    const size = { width, height, tiling, tokenMerging }, cached = request.stepCache !== undefined;
    const passes: Pass[] = [{ size, prompts, cached }];
    if (hires) passes.push({ size: { ...size, width: hires.width, height: hires.height }, prompts: again, cached });
    for (const pass of passes) this.#verdicts.checkSteps(pass);
    const truncatedTokens = prompts.conditional.truncated + prompts.unconditional.truncated;
    return { trajectories, passes, truncatedTokens };
  }

  /** Makes one batch: pictures whose passes differ in prompts alone. */
  async *#makeBatch(
    batch: readonly (Prepared & BatchPicture & { picture: GenerateRequest })[],
    signal: AbortSignal,
  ): AsyncGenerator<BatchEvent> {
    const { pipeline } = this, [{ picture: request, trajectories, passes }] = batch;
    const promptsOf = (pass: number) => ({
      conditional: batch.map(({ passes }) => passes[pass].prompts.conditional),
      unconditional: batch.map(({ passes }) => passes[pass].prompts.unconditional),
    });
    const common = {
      guidanceScale: request.guidanceScale,
      ...promptsOf(0),
      prediction: (this.#schedule.prediction_type ?? "epsilon") as Prediction,
    };
    const again = passes.length > 1 ? promptsOf(1) : undefined;
    const noise = (size: CanvasSize, trajectory: Trajectory) =>
      this.#noise(batch.map(({ picture }) => picture), size, trajectory);
    try {
      yield* makeBatch({ pipeline, request, signal, pictures: batch, common, again, trajectories, noise });
    } catch (error) {
      pipeline.clear(); // a plan may be half made: the next job makes its own
      if (!(error instanceof BudgetError)) throw error;
      // All that is not needed for it had left already.
      throw new RefusedError(`${error.message}, a smaller picture or a shorter prompt would do`, { cause: error });
    } finally {
      this.model.backend.residency.unpin();
    }
  }

  #trajectories({ sampler, scheduler, steps, eta, strength, initImage, hires }: GenerateRequest): Trajectory[] {
    const first = this.#trajectory(sampler, { steps, eta, scheduler, strength: initImage ? strength : undefined });
    if (!hires) return [first];
    const again = hires.sampler === sampler ? eta : defaultEta(hires.sampler);
    return [first, this.#trajectory(hires.sampler, { ...hires, eta: again })];
  }

  #trajectory(sampler: SamplerName, options: TrajectoryOptions): Trajectory {
    try {
      return createTrajectory(sampler, this.#schedule, options);
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      // The other ways in which a run cannot be are refused before it comes here.
      const field = error instanceof UnsupportedScheduleError ? error.field : "steps";
      throw new RefusedError(error.message, { cause: error, field });
    }
  }

  /** Defaults that make no request would fail every client that relies on them: they fail the model instead. */
  #checkDefaults(path: string): void {
    const { width, height } = this.info.model.defaults;
    if (Math.max(width, height) <= this.info.limits.maxSide) this.#verdicts.checkSize(height, width);
    try {
      this.#trajectories(parseRequest(new Map([["prompt", ""]]), this.info).request);
    } catch (error) {
      if (!(error instanceof RequestError || error instanceof RefusedError)) throw error;
      const single = /\.safetensors$/.test(path);
      const file = single ? path.replace(/\.safetensors$/, ".json") : `${path}/defaults.json`;
      throw new Error(`Cannot use the defaults of ${file}: ${lowerFirst(error.message)}`, { cause: error });
    }
  }

  /**
   * The prompts of each pass, ready for the text encoder.
   * @throws {RefusedError} when it has no layer that the request asks for, or a weight is beyond all numbers.
   */
  #prompts(request: GenerateRequest, [first, second]: readonly Trajectory[]): Prompts[] {
    const { prompt, negativePrompt, promptSyntax: syntax, emphasis, clipSkip = 1, initImage, hires } = request;
    const layers = this.model.textEncoder.config.num_hidden_layers, skip = clipSkip - 1;
    if (skip >= layers) {
      const message =
        `Field clip_skip is ${clipSkip}, and this text encoder has ${layers} layers, 1 to ${layers} would do`;
      throw new RefusedError(message, { field: "clip_skip" });
    }
    const embedded = syntax === "plain" ? [] : this.#embeddings.words();
    const { max_position_embeddings, hidden_size } = this.model.textEncoder.config;
    const mostChunks = Math.floor(promptBytes / (4 * max_position_embeddings * hidden_size));
    const plan = (field: string, text: string, options: PromptOptions) => {
      const made = readPrompt(
        field,
        () => planPrompt(text, this.#tokenizer, { syntax, emphasis, embedded, mostChunks, ...options }),
      );
      const chunks = made.parts.flatMap(({ schedule }) => schedule).flatMap(({ chunks }) => chunks);
      const weights = [...made.parts.map(({ weight }) => weight), ...chunks.flatMap(({ weights }) => [...weights])];
      if (weights.every((weight) => Number.isFinite(Math.fround(weight)))) return made;
      throw new RefusedError(`Field ${field} has a weight beyond all numbers, fewer brackets would do`, { field });
    };
    const both = (calls: number, firstPass?: number): Prompts => ({
      conditional: plan("prompt", prompt, { calls, firstPass, skip }),
      // As the reference, which skips layers for the prompt alone.
      unconditional: plan("negative_prompt", negativePrompt, {
        ...{ calls, firstPass, composed: false },
        skip: syntax === "plain" ? 0 : skip,
      }),
    });
    const calls = callsOf(first, request.steps, initImage ? request.strength : 1);
    return [both(calls), ...hires ? [both(callsOf(second, hires.steps, hires.strength), calls)] : []];
  }

  /** Draws for pictures: each has generators of its own. */
  #noise(pictures: readonly GenerateRequest[], size: CanvasSize, trajectory: Trajectory): Noise {
    const [, high, wide, channels] = latentShape(this.model, size);
    const options = { shape: [channels, high, wide], scale: this.model.vae.scale, trajectory } as const;
    const draws = pictures.map((picture) => noiseOf(picture, options));
    return (what) => joined(draws.map((draw) => draw(what)));
  }

  /**
   * Drivers compile a kernel when it first runs, so both ways to begin and all other stages run once at the default
   * size: image-to-image with guidance, then text-to-image without. What previews are made by is fitted, too. Gives the
   * milliseconds of a step without guidance once it is compiled, where that is soon known.
   */
  async warm(): Promise<number | undefined> {
    const { width, height } = this.info.model.defaults;
    const request: GenerateRequest = {
      prompt: "",
      negativePrompt: "",
      width,
      height,
      steps: 1,
      guidanceScale: 2,
      sampler: "euler_a",
      scheduler: "automatic",
      seed: 0,
      rng: "nv",
      eta: 0,
      strength: 1,
    };
    const fromPicture = { ...request, initImage: new Uint8Array(3 * width * height) };
    const { alive } = this.model.backend;
    for await (const _ of this.generate(fromPicture, AbortSignal.any([]))) alive(); // the picture is nobody's
    // Without guidance only the step is another one.
    const enough = new AbortController();
    let stepMs: number | undefined;
    for await (const event of this.generate({ ...request, guidanceScale: 1, steps: 2 }, enough.signal)) {
      alive();
      if (event.type !== "step") continue;
      if (event.step === 2) stepMs = event.ms;
      if (event.step === 2 || event.ms > longMs) enough.abort();
    }
    await this.pipeline.fitPreviews();
    return stepMs;
  }

  /** Brings its weights to the device, in the order in which stages need them, as many as fit beside each other. */
  async load(): Promise<void> {
    const needed: Component[] = [], { textEncoder, unet, vae } = this.model.components;
    try {
      for (const component of [textEncoder, unet, vae]) {
        await component.load({ needed });
        needed.push(component);
      }
    } catch (error) {
      if (!(error instanceof BudgetError)) throw error; // those that do not fit come when their turn does
    }
  }

  /** Forgets which sizes run and how: the device's budget is another now. */
  forget(): void {
    this.pipeline.clear();
    this.#verdicts.forget();
  }

  [Symbol.dispose](): void {
    this.pipeline[Symbol.dispose]();
    this.model[Symbol.dispose]();
  }
}

function defaultsOf({ defaults = {} }: ModelFolder, { unet, vae }: StableDiffusion): ModelDefaults {
  const side = unet.config.sample_size * vae.scale;
  const { width = side, height = side, cfg_scale = fallback.guidanceScale, ...rest } = defaults;
  return { ...fallback, ...rest, width, height, guidanceScale: cfg_scale };
}
