/** One device and the models on it, making one picture at a time: what the Worker wraps in messages. */
import { dirname } from "node:path";
import { openModel } from "../checkpoint/model.ts";
import { type Device, openDevice } from "../gpu/device.ts";
import { GpuOutOfMemoryError } from "../gpu/errors.ts";
import { defaultBudget } from "./budget.ts";
import type { Canvas, CanvasSize } from "./canvas.ts";
import { lowerFirst } from "./fields.ts";
import { neededBytes } from "./limits.ts";
import { embeddingFolders, listModels } from "./locate.ts";
import { type Backend, createBackend } from "./model.ts";
import type { EngineInfo, JobEvent, MemoryReport, ModelInfo, StartOptions } from "./protocol.ts";
import type { GenerateRequest } from "./request.ts";
import { formatBytes } from "./residency.ts";
import { RefusedError } from "./refused.ts";
import { type Progress, ServedModel } from "./served_model.ts";
import { outputSize } from "./tasks.ts";
import { type EngineJob, failureOf } from "./together.ts";
import { tuningDigest, tuningOf } from "./tuning.ts";

export { RefusedError } from "./refused.ts";
export type { Progress } from "./served_model.ts";

/** What to load, where, and who hears of it. */
export interface EngineConfig extends Omit<StartOptions, "keepAlive"> {
  log(line: string): void;
  /** Hears now and then, where something takes long, that all goes well. */
  alive?: () => void;
}

type Size = { height: number; width: number };

/** The sizes of pictures that a request's stages see. */
function sizesOf(request: GenerateRequest): Size[] {
  return [request, request.hires, request.initSize].filter((size) => size !== undefined);
}

/** Models whose small files are kept in memory, whatever their weights do. */
const keptModels = 8;

export class Engine implements Disposable {
  /** Opened so far by name, least recently used first; the one used by default is always among them. */
  readonly #models = new Map<string, ServedModel>();
  /** The model of the job that runs: questions about others, which come between its steps, must not end it. */
  #running?: ServedModel;
  /** What headers said of files that may be models. */
  readonly #headers = new Map<string, boolean>();

  private constructor(
    readonly backend: Backend,
    readonly info: EngineInfo,
    readonly standard: ServedModel,
    readonly config: EngineConfig,
  ) {
    this.#models.set(info.model.name, standard);
  }

  /** Opens the device and the model, and makes first pictures of one step, which load its weights and compile every kernel. */
  static async open(config: EngineConfig): Promise<Engine> {
    const { model: path, vae, gpu, precision, tunings = {}, warm = true, log, alive } = config;
    const timing: Record<string, number> = {};
    let mark = performance.now();
    const lap = (stage: string) => {
      timing[stage] = performance.now() - mark;
      mark = performance.now();
    };
    using stack = new DisposableStack();
    const folder = openModel(path, { vae }); // before the device: a wrong path should be said at once
    const device = stack.use(await openDevice({ gpu, wayOf: (adapter) => tuningOf(tunings, adapter) }));
    const tuning = tuningOf(tunings, device.adapter, log);
    lap("device");
    const budget = config.budget ?? defaultBudget(device, config.hostBytes);
    const backend = createBackend(device, precision ?? "f32", { budget, alive, tiles: tuning?.tiles });
    const model = stack.use(
      ServedModel.open(backend, path, { folder, precision, embeddings: embeddingFolders(path, config.homes), log }),
    );
    lap("model");
    const { name, backend: adapterBackend, software } = device;
    const adapter = { name, backend: adapterBackend, software, ...(tuning && { tuning: tuningDigest(tuning) }) };
    const info: EngineInfo = { ...model.info, adapter, timing };
    if (warm) {
      info.stepMs = await model.warm();
      lap("warm");
    }
    stack.move();
    return new Engine(backend, info, model, config);
  }

  get device(): Device {
    return this.backend.device;
  }

  /** The stages of a size of the default model, for profiles. */
  canvas(size: CanvasSize): Canvas {
    return this.standard.pipeline.canvas(size);
  }

  /** Bytes on the GPU: weights, and plans of the sizes kept. */
  get bytes(): number {
    return this.device.memory.used;
  }

  /** What device memory is used for. */
  get memory(): MemoryReport {
    const { memory, budget, residents, evictions } = this.backend.residency;
    const { used, peak, bytes } = memory;
    const list = Array.from(residents, ({ kind, name, bytes }) => ({ kind, name, bytes }));
    return { budget: Number.isFinite(budget) ? budget : undefined, used, peak, bytes, residents: list, evictions };
  }

  /**
   * What requests for a model depend on; without a name the default one's.
   * @throws {RefusedError} when there is none of that name, or it does not run here.
   */
  describe(name?: string): ModelInfo {
    return this.#model(name).info;
  }

  /**
   * Makes one picture. Stops between two steps, with a `cancelled` event, once `signal` is aborted. Where the device turns
   * out to have less memory than was thought, all of it is given up, and after an `again` event the picture is begun anew,
   * once, with what there is: one component at a time, and the VAE in bands where it does not fit alone.
   * @throws {RefusedError} when the request cannot be run as it is.
   * @throws {GpuOutOfMemoryError} when there is not enough memory then, either.
   */
  async *generate(request: GenerateRequest, signal: AbortSignal): AsyncGenerator<Progress> {
    try {
      this.#running = this.#model(request.model);
      let told: Progress | undefined;
      try {
        for await (told of this.#running.generate(request, signal)) yield told;
        return;
      } catch (error) {
        if (!(error instanceof GpuOutOfMemoryError)) throw error;
        await this.#shrink(error, this.#running, sizesOf(request));
        // In bands the rows below those that were told could differ from them by a level.
        if (told?.type === "rows" && told.top + told.rows < outputSize(request).height) throw error;
        yield { type: "again", error: failureOf(error) };
        yield* this.#again(this.#running, { request, signal, cause: error });
      }
    } finally {
      this.#running = undefined;
    }
  }

  /**
   * Makes the pictures of several jobs, as {@link ServedModel.together} does; where the device has not enough memory for them
   * it is known to have less from now on, as with one.
   */
  async *together(jobs: readonly EngineJob[]): AsyncGenerator<JobEvent> {
    const [{ request }] = jobs;
    try {
      this.#running = this.#model(request.model);
      yield* this.#running.together(jobs);
    } catch (error) {
      if (error instanceof GpuOutOfMemoryError) await this.#shrink(error, this.#running, sizesOf(request));
      throw error;
    } finally {
      this.#running = undefined;
    }
  }

  async *#again(
    model: ServedModel,
    { request, signal, cause }: { request: GenerateRequest; signal: AbortSignal; cause: GpuOutOfMemoryError },
  ): AsyncGenerator<Progress> {
    try {
      yield* model.generate(request, signal);
    } catch (error) {
      if (error instanceof GpuOutOfMemoryError) await this.#shrink(error);
      // The size was not refused as long as memory was thought to suffice.
      if (error instanceof RefusedError) {
        throw new GpuOutOfMemoryError(`${cause.message}: ${error.message}`, cause.held);
      }
      throw error;
    }
  }

  /**
   * The device has less memory than was thought: beyond what it held when it had no more, nothing is asked of it again,
   * unless pictures of the default size need it, or those of `sizes`, which are yet to be tried.
   */
  async #shrink({ held }: GpuOutOfMemoryError, model = this.standard, sizes: readonly Size[] = []): Promise<void> {
    const { residency, device } = this.backend, { standard } = this;
    residency.shrink(held);
    residency.clear();
    for (const each of this.#models.values()) each.forget();
    residency.grow(neededBytes(standard.model, standard.info.model.defaults));
    for (const size of sizes) residency.grow(neededBytes(model.model, size));
    await device.idle().catch(() => {}); // until then WebGPU keeps what was destroyed; errors that followed are no news
    this.config.log(
      `${this.info.adapter.name} is out of memory: ${formatBytes(residency.budget)} of it are used from now on`,
    );
  }

  /** Gives all device memory back; the next request brings what it needs from the page cache. */
  unload(): void {
    this.backend.residency.clear();
  }

  /**
   * Brings a model's weights to the device, as far as they fit beside each other: its next picture need not wait for them.
   * @throws {RefusedError} when there is none of that name, or it does not run here.
   */
  async load(name?: string): Promise<void> {
    try {
      await this.#model(name).load();
    } catch (error) {
      if (error instanceof GpuOutOfMemoryError) await this.#shrink(error);
      throw error;
    }
  }

  #model(name: string = this.info.model.name): ServedModel {
    const model = this.#models.get(name) ?? this.#open(name);
    this.#models.delete(name);
    this.#models.set(name, model);
    for (const [old, other] of this.#models) {
      if (this.#models.size <= keptModels) break;
      if (other === this.standard || other === this.#running) continue;
      this.#models.delete(old);
      other[Symbol.dispose]();
    }
    return model;
  }

  /** Only names are looked up, never paths: this one came with a request. */
  #open(name: string): ServedModel {
    const found = listModels(this.config.homes, this.#headers).find((model) => model.name === name);
    if (!found) throw new RefusedError(`There is no model ${JSON.stringify(name)}`, { field: "model" });
    try {
      const { homes, precision, log } = this.config;
      const embeddings = embeddingFolders(found.path, homes);
      return ServedModel.open(this.backend, found.path, { precision, embeddings, log });
    } catch (cause) {
      if (!(cause instanceof Error)) throw cause;
      const reason = lowerFirst(cause.message).replaceAll(`${dirname(found.path)}/`, ""); // where it is is nobody's business
      throw new RefusedError(`Cannot use the model ${name}: ${reason}`, { cause, field: "model" });
    }
  }

  [Symbol.dispose](): void {
    for (const model of this.#models.values()) model[Symbol.dispose]();
    this.device[Symbol.dispose]();
  }
}
