/** One loaded model on one device, making one picture at a time: what the Worker wraps in messages. */
import { basename, resolve } from "node:path";
import type { ModelFolder } from "../checkpoint/folder.ts";
import { openModel } from "../checkpoint/model.ts";
import { type Device, openDevice } from "../gpu/device.ts";
import {
  createTrajectory,
  parseSchedulerJson,
  type SchedulerJson,
  type Trajectory,
  UnsupportedScheduleError,
} from "../samplers/mod.ts";
import { gaussian } from "../tensor/random.ts";
import { type ClipTokenizer, loadTokenizer } from "../tokenizer/clip.ts";
import type { Canvas, CanvasSize } from "./canvas.ts";
import { lowerFirst } from "./fields.ts";
import { sizeLimits, whyTooLarge } from "./limits.ts";
import { createBackend, loadStableDiffusion, type StableDiffusion } from "./model.ts";
import { Pipeline, type PipelineInput } from "./pipeline.ts";
import type { EngineInfo, JobEvent, ModelDefaults, Precision } from "./protocol.ts";
import { type GenerateRequest, parseRequest, RequestError } from "./request.ts";

/** What to load, where. */
export interface EngineConfig {
  /** A model: a folder or a single file. */
  model: string;
  /** A VAE to take instead of the model's own: a file or a folder. */
  vae?: string;
  gpu?: string;
  /** How activations and weights are stored: f16 where the device has it and is no software adapter, unless said. */
  precision?: Precision;
  log(line: string): void;
}

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

export class Engine implements Disposable {
  readonly #pipeline: Pipeline;
  readonly #schedule: SchedulerJson;
  /** What {@link whyTooLarge} said of the sizes asked for so far. */
  readonly #sizes = new Map<string, string | undefined>();

  private constructor(
    readonly device: Device,
    readonly model: StableDiffusion,
    readonly folder: ModelFolder,
    readonly tokenizer: ClipTokenizer,
    readonly info: EngineInfo,
  ) {
    this.#pipeline = new Pipeline(model);
    this.#schedule = parseSchedulerJson(folder.scheduler ?? "{}");
  }

  /** Opens the device, loads the model and makes a first picture of one step, which compiles every kernel. */
  static async open({ model: path, vae, gpu, precision, log }: EngineConfig): Promise<Engine> {
    const timing: Record<string, number> = {};
    let mark = performance.now();
    const lap = (stage: string) => {
      timing[stage] = performance.now() - mark;
      mark = performance.now();
    };
    using stack = new DisposableStack();
    const folder = openModel(path, { vae }); // before the device: a wrong path should be said at once
    const device = stack.use(await openDevice({ gpu }));
    lap("device");
    const backend = createBackend(device, precision ?? (device.f16 && !device.software ? "f16" : "f32"));
    const model = stack.use(await loadStableDiffusion(backend, folder, log));
    lap("weights");
    const tokenizer = loadTokenizer(folder.folder("tokenizer"), { padToken: folder.padToken });
    lap("tokenizer");
    const { name, backend: adapterBackend, software } = device;
    const engine = new Engine(device, model, folder, tokenizer, {
      model: { name: basename(resolve(path)).replace(/\.safetensors$/, ""), defaults: defaultsOf(folder, model) },
      adapter: { name, backend: adapterBackend, software },
      precision: backend.precision,
      limits: sizeLimits(model),
      timing,
    });
    stack.use(engine.#pipeline);
    engine.#checkDefaults(path);
    await engine.#warm();
    lap("warm");
    stack.move();
    return engine;
  }

  /** The plans of a size, for profiles. */
  canvas(size: CanvasSize): Canvas {
    return this.#pipeline.canvas(size);
  }

  /** Bytes on the GPU: weights, and plans of the sizes kept. */
  get bytes(): number {
    return this.model.weightBytes + this.#pipeline.bytes;
  }

  /**
   * Makes one picture. Stops between two steps, with a `cancelled` event, once `signal` is aborted.
   * @throws {RefusedError} when the request cannot be run as it is.
   */
  async *generate(request: GenerateRequest, signal: AbortSignal): AsyncGenerator<Progress> {
    const [conditional, unconditional] = [request.prompt, request.negativePrompt].map((text) =>
      this.tokenizer.encode(text)
    );
    const { width, height, guidanceScale, initImage } = request;
    const tooLarge = this.#whyTooLarge(height, width);
    if (tooLarge) throw new RefusedError(`Cannot make a picture of ${width}x${height}: ${tooLarge}`);
    const input: PipelineInput = {
      images: 1,
      width,
      height,
      guidanceScale,
      initImage,
      conditional: [Uint32Array.from(conditional.ids)],
      unconditional: [Uint32Array.from(unconditional.ids)],
      trajectory: this.#trajectory(request),
      noise: this.#noise(request),
    };
    yield { type: "started", truncatedTokens: conditional.truncated + unconditional.truncated };
    try {
      const steps = this.#pipeline.denoise(input);
      let next = await steps.next();
      for (; !next.done; next = await steps.next()) {
        yield { type: "step", ...next.value };
        await turn(); // so that a cancellation that has arrived is heard
        if (signal.aborted) return yield { type: "cancelled" };
      }
      await this.#pipeline.decode(next.value);
      for await (const band of this.#pipeline.scanlines(next.value)) {
        yield { type: "rows", ...band };
        await turn();
        if (signal.aborted) return yield { type: "cancelled" };
      }
      yield { type: "done", timing: this.#pipeline.timing };
    } catch (error) {
      this.#pipeline.clear(); // a plan may be half made: the next job makes its own
      throw error;
    }
  }

  #trajectory({ sampler, scheduler, steps, eta, strength, initImage }: GenerateRequest): Trajectory {
    try {
      const options = { steps, eta, scheduler, strength: initImage ? strength : undefined };
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
    try {
      this.#trajectory(parseRequest(new Map([["prompt", ""]]), this.info).request);
    } catch (error) {
      if (!(error instanceof RequestError || error instanceof RefusedError)) throw error;
      const single = /\.safetensors$/.test(path);
      const file = single ? path.replace(/\.safetensors$/, ".json") : `${path}/defaults.json`;
      throw new Error(`Cannot use the defaults of ${file}: ${lowerFirst(error.message)}`, { cause: error });
    }
  }

  #noise({ seed, rng, height, width }: GenerateRequest): () => Float32Array {
    const { vae } = this.model;
    return gaussian({ seed, rng, shape: [vae.config.latent_channels, height / vae.scale, width / vae.scale] });
  }

  /** Recording three plans takes some 30 ms: once a size. */
  #whyTooLarge(height: number, width: number): string | undefined {
    const key = `${height} ${width}`;
    if (!this.#sizes.has(key)) {
      if (this.#sizes.size >= rememberedSizes) this.#sizes.clear();
      this.#sizes.set(key, whyTooLarge(this.model, height, width));
    }
    return this.#sizes.get(key);
  }

  /**
   * Drivers compile a kernel when it first runs, so both ways to begin and all other stages run once at the default
   * size: image-to-image with guidance, then text-to-image without.
   */
  async #warm(): Promise<void> {
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
  }

  [Symbol.dispose](): void {
    this.#pipeline[Symbol.dispose]();
    this.model[Symbol.dispose]();
    this.device[Symbol.dispose]();
  }
}

/** Lets messages that have arrived be handled. */
function turn(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 0));
}

function defaultsOf({ defaults = {} }: ModelFolder, { unet, vae }: StableDiffusion): ModelDefaults {
  const side = unet.config.sample_size * vae.scale;
  const { width = side, height = side, cfg_scale = fallback.guidanceScale, ...rest } = defaults;
  return { ...fallback, ...rest, width, height, guidanceScale: cfg_scale };
}
