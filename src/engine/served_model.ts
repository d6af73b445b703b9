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
import { type ClipTokenizer, loadTokenizer } from "../tokenizer/clip.ts";
import { type CanvasSize, latentShape, needOf } from "./canvas.ts";
import { planPrompt, type PromptOptions, type PromptPlan } from "./conditioning.ts";
import { Embeddings } from "./embeddings.ts";
import { lowerFirst } from "./fields.ts";
import { largestOfShape, sizeLimits, type StepLength, whyNotCached, whyTooLarge } from "./limits.ts";
import { makeBatch, stepsOf } from "./making.ts";
import { type Backend, openStableDiffusion, type StableDiffusion } from "./model.ts";
import { type Noise, noiseOf } from "./noise.ts";
import { Pipeline } from "./pipeline.ts";
import type { JobEvent, ModelDefaults, ModelInfo } from "./protocol.ts";
import { type GenerateRequest, parseRequest, RequestError } from "./request.ts";
import { overBudget } from "./residency.ts";
import { recordStep } from "./step_stages.ts";
import { eachPicture } from "./tasks.ts";

/** A request that cannot be run as it is; the message says why. */
export class RefusedError extends Error {
  override name = "RefusedError";
  /** The field at fault, as clients know it. */
  readonly field?: string;
  constructor(message: string, { field, ...options }: ErrorOptions & { field?: string } = {}) {
    super(message, options);
    this.field = field;
  }
}

/** An event of a job without the job's id. */
export type Progress = JobEvent extends infer Event ? Event extends { id: string } ? Omit<Event, "id"> : never : never;

/** Sizes whose verdict is kept. */
const rememberedSizes = 1000;

/** Defaults of a folder without defaults.json. */
const fallback = { steps: 20, guidanceScale: 7, sampler: "euler_a", scheduler: "automatic" };

/** The name of the model at a path: the folder's, or the file's without `.safetensors`. */
function modelName(path: string): string {
  return basename(resolve(path)).replace(/\.safetensors$/, "");
}

/** The most tokens and calls of the U-Net that a step of these prompts may take. */
function stepLength({ conditional, unconditional }: Prompts, { textEncoder }: StableDiffusion): StepLength {
  const chunks = [conditional, unconditional].map(({ parts }) =>
    Math.max(...parts.map(({ schedule }) => schedule[0].chunks.length))
  );
  const inParts = conditional.parts.length > 1 || chunks[0] !== chunks[1];
  return {
    tokens: Math.max(...chunks) * textEncoder.config.max_position_embeddings,
    parts: inParts ? conditional.parts.length + 1 : 0,
  };
}

/** What the text encoder reads for a pass. */
interface Prompts {
  conditional: PromptPlan;
  unconditional: PromptPlan;
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
  /** What {@link whyTooLarge} said of the sizes asked for so far. */
  readonly #sizes = new Map<string, string | undefined>();

  private constructor(
    readonly model: StableDiffusion,
    folder: ModelFolder,
    { path, embeddings, log }: { path: string; embeddings?: readonly string[]; log: (line: string) => void },
  ) {
    this.pipeline = new Pipeline(model);
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
    { folder = openModel(path), embeddings, log }: {
      folder?: ModelFolder;
      /** Folders of textual inversions. */
      embeddings?: readonly string[];
      log: (line: string) => void;
    },
  ): ServedModel {
    const model = openStableDiffusion(backend, folder, { name: modelName(path), log });
    return new ServedModel(model, folder, { path, embeddings, log });
  }

  /**
   * Makes a request's pictures. Stops between two steps, with a `cancelled` event, once `signal` is aborted.
   * @throws {RefusedError} when the request cannot be run as it is.
   */
  async *generate(request: GenerateRequest, signal: AbortSignal): AsyncGenerator<Progress> {
    const { width, height, guidanceScale, hires, n = 1, iterations = 1 } = request;
    this.#checkSize(height, width);
    if (hires) this.#checkSize(hires.height, hires.width);
    if (request.initSize) this.#checkSize(request.initSize.height, request.initSize.width);
    const trajectories = this.#trajectories(request), [prompts, again] = this.#prompts(request, trajectories);
    const cached = request.stepCache === undefined ? undefined : stepLength(prompts, this.model);
    for (const size of [request, hires ?? request]) {
      this.#checkLength(prompts, size);
      if (cached) this.#checkCache(size, cached);
    }
    yield { type: "started", truncatedTokens: prompts.conditional.truncated + prompts.unconditional.truncated };
    this.pipeline.begin();
    try {
      const together = this.#together(n, hires ?? request, cached), perRound = Math.ceil(n / together);
      const perBatch = stepsOf(trajectories), steps = perBatch * perRound * iterations;
      for (let first = 0, step = 0; first < n * iterations; step += perBatch) {
        const images = Math.min(together, n - first % n);
        const each = ({ conditional, unconditional }: Prompts) => ({
          conditional: Array<PromptPlan>(images).fill(conditional),
          unconditional: Array<PromptPlan>(images).fill(unconditional),
        });
        const common = {
          guidanceScale,
          ...each(prompts),
          prediction: (this.#schedule.prediction_type ?? "epsilon") as Prediction,
        };
        const noise = (size: CanvasSize, trajectory: Trajectory) =>
          this.#noise(request, { ...size, first }, trajectory);
        const making = {
          ...{ pipeline: this.pipeline, request, signal, common, trajectories, noise },
          again: again && each(again),
        };
        if (yield* makeBatch(making, { first, images, step, steps })) return yield { type: "cancelled" };
        first += images;
      }
      yield { type: "done", timing: this.pipeline.stages.sums };
    } catch (error) {
      this.pipeline.clear(); // a plan may be half made: the next job makes its own
      throw error;
    } finally {
      this.model.backend.residency.unpin();
    }
  }

  /** How many of `n` pictures are made at once: all, or as many as there is room for. */
  #together(n: number, { height, width }: { height: number; width: number }, cached?: StepLength): number {
    for (let images = n; images > 1; images = Math.ceil(images / 2)) {
      const uncached = cached && whyNotCached(this.model, { images, height, width }, cached);
      if (!uncached && !whyTooLarge(this.model, height, width, images)) return images;
    }
    return 1;
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
      const field = error instanceof UnsupportedScheduleError ? "sampler" : "steps";
      throw new RefusedError(error.message, { cause: error, field });
    }
  }

  /** Defaults that make no request would fail every client that relies on them: they fail the model instead. */
  #checkDefaults(path: string): void {
    const { width, height } = this.info.model.defaults;
    if (Math.max(width, height) <= this.info.limits.maxSide) this.#checkSize(height, width);
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
    const plan = (field: string, text: string, options: PromptOptions) => {
      const made = planPrompt(text, this.#tokenizer, { syntax, emphasis, embedded, ...options });
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

  /** Draws for pictures from number `first` on: each picture has generators of its own. */
  #noise(
    request: GenerateRequest,
    { images, height, width, first }: CanvasSize & { first: number },
    trajectory: Trajectory,
  ): Noise {
    const [, high, wide, channels] = latentShape(this.model, { images, height, width }), size = channels * high * wide;
    const options = { shape: [channels, high, wide], scale: this.model.vae.scale, trajectory } as const;
    const draws = eachPicture(request).slice(first, first + images).map((picture) => noiseOf(picture, options));
    return (what) => {
      const all = new Float32Array(images * size);
      for (const [i, draw] of draws.entries()) all.set(draw(what), i * size);
      return all;
    };
  }

  /** @throws {RefusedError} when the U-Net cannot read prompts of this length at this size. */
  #checkLength(prompts: Prompts, { height, width }: { height: number; width: number }): void {
    const { model } = this, usual = model.textEncoder.config.max_position_embeddings;
    for (
      const [field, plan] of [["prompt", prompts.conditional], ["negative_prompt", prompts.unconditional]] as const
    ) {
      const chunks = Math.max(...plan.parts.map(({ schedule }) => schedule[0].chunks.length)), tokens = chunks * usual;
      const key = `${height} ${width} ${tokens}`, size = { images: 1, height, width };
      if (chunks === 1) continue;
      this.#remember(key, () => {
        const { problem, bytes } = needOf(model, size, recordStep(model, size, { halves: 2, tokens }));
        const { budget } = model.backend.residency;
        return problem ?? (bytes > budget ? `the U-Net's step ${overBudget(bytes, budget)}` : undefined);
      });
      const why = this.#sizes.get(key);
      if (why) {
        throw new RefusedError(`Cannot read a ${field} of ${tokens} tokens: ${why}, a shorter one would do`, {
          field,
        });
      }
    }
  }

  /** @throws {RefusedError} when there is no room for a cache between steps at this size. */
  #checkCache({ height, width }: { height: number; width: number }, length: StepLength): void {
    const key = `cached ${height} ${width} ${length.tokens} ${length.parts}`;
    this.#remember(key, () => whyNotCached(this.model, { images: 1, height, width }, length));
    const why = this.#sizes.get(key);
    if (!why) return;
    const message = `Cannot keep a step_cache at ${width}x${height}: ${why}, a step_cache of 1 would do`;
    throw new RefusedError(message, { field: "step_cache" });
  }

  /** @throws {RefusedError} when a picture of this size cannot be made, saying why and which size could be. */
  #checkSize(height: number, width: number): void {
    const tooLarge = this.#whyTooLarge(height, width);
    if (!tooLarge) return;
    const most = largestOfShape(this.model, height, width);
    const would = most ? `${most.width}x${most.height} would do` : "a larger MEMORY_BUDGET would do";
    throw new RefusedError(`Cannot make a picture of ${width}x${height}: ${tooLarge}, ${would}`);
  }

  /** Recording the plans takes some 50 ms: once a size. */
  #whyTooLarge(height: number, width: number): string | undefined {
    const key = `${height} ${width}`;
    this.#remember(key, () => whyTooLarge(this.model, height, width));
    return this.#sizes.get(key);
  }

  #remember(key: string, verdict: () => string | undefined): void {
    if (this.#sizes.has(key)) return;
    if (this.#sizes.size >= rememberedSizes) this.#sizes.clear();
    this.#sizes.set(key, verdict());
  }

  /**
   * Drivers compile a kernel when it first runs, so both ways to begin and all other stages run once at the default
   * size: image-to-image with guidance, then text-to-image without. What previews are made by is fitted, too.
   */
  async warm(): Promise<void> {
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
    for (const each of [fromPicture, { ...request, guidanceScale: 1 }]) {
      for await (const _ of this.generate(each, AbortSignal.any([]))) { /* the picture is nobody's */ }
    }
    await this.pipeline.fitPreviews();
  }

  /** Forgets which sizes run and how: the device's budget is another now. */
  forget(): void {
    this.pipeline.clear();
    this.#sizes.clear();
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
