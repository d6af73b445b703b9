/** What each model call of a run is told of its prompts: contexts by call, and which calls of the U-Net a step takes. */
import type { Timings } from "../gpu/timing.ts";
import type { Plan } from "../graph/plan.ts";
import type { Chunk } from "../prompt/chunks.ts";
import { joined } from "../tensor/join.ts";
import type { Canvas } from "./canvas.ts";
import { type Conditioning, type Context, contextAt, encodePrompts, type PromptPlan } from "./conditioning.ts";
import type { StableDiffusion } from "./model.ts";
import { StepCache } from "./step_cache.ts";
import type { StepExtras } from "./step_stages.ts";
import { turn } from "./turn.ts";

/** What guidance is given. */
export interface PromptInput {
  /** One prompt a picture. */
  conditional: readonly PromptPlan[];
  /** The negative prompts, one a picture; read where guidance runs. */
  unconditional: readonly PromptPlan[];
  /** Above 1 the unconditional half runs too; up to 1 only beside a prompt that is composed or weighted. */
  guidanceScale: number;
  /** Calls of the U-Net from one whole one to the next; 1 where absent: all are. See step_cache.ts. */
  stepCache?: number;
  /** Once aborted ends what takes long, with its reason: between runs of the text encoder, and of a step of many parts. */
  signal?: AbortSignal;
}

/** Calls of the U-Net that the device is given at once. */
const partsAtOnce = 8;

/** How a step is run. */
export interface StepRun extends Omit<StepExtras, "cache"> {
  /** Whether both halves of guidance count. */
  guided: boolean;
  timings?: Timings;
}

/** What a step's plans are given beside contexts; noise where the row has some, a condition where the model takes one. */
export interface StepValues {
  row: Float32Array;
  timestep: Float32Array;
  noise?: Float32Array;
  condition?: Float32Array;
  /** What a U-Net for inpainting reads beside latents, of one half. */
  extra?: Float32Array;
  options?: Float32Array;
}

/** One call of the U-Net in a step that takes several: its context, and its shares as ops/latents.ts composes them. */
interface StepPart {
  contexts: Context[];
  tokens: number;
  shares: Float32Array;
}

/**
 * How many predictions a step guides by, of a prompt that is neither composed nor weighted as a whole: both halves where the
 * scale is above 1, or one where the U-Net is told the scale (`time_cond_proj_dim`, of models distilled to few steps).
 */
export function halvesOf(guidanceScale: number, { unet }: Pick<StableDiffusion, "unet">): 1 | 2 {
  return guidanceScale > 1 && !unet.config.time_cond_proj_dim ? 2 : 1;
}

export class StepText {
  /** Whether the unconditional half runs. */
  readonly halves: 1 | 2;
  /** Weight of the conditional over the unconditional prediction, where both run. */
  readonly scale: number;
  readonly #conditional: Conditioning[];
  readonly #unconditional: Conditioning[];
  readonly #cache: StepCache;
  readonly #signal?: AbortSignal;
  /** The contexts that a plan was given last. */
  readonly #written = new WeakMap<Plan, Context[]>();

  private constructor(
    readonly canvas: Canvas,
    conditional: Conditioning[],
    unconditional: Conditioning[],
    scale: number,
    { stepCache, signal }: PromptInput,
  ) {
    this.#cache = new StepCache(stepCache);
    this.#signal = signal;
    this.#conditional = conditional;
    this.#unconditional = unconditional;
    this.halves = unconditional.length > 0 ? 2 : 1;
    const { parts } = conditional[0];
    this.scale = parts.length === 1 ? scale * parts[0].weight : scale;
    for (const { parts: others } of conditional) {
      const alike = others.length === parts.length && others.every(({ weight }, i) => weight === parts[i].weight);
      if (!alike || this.#lengthOf(others) !== this.#lengthOf(parts)) {
        throw new RangeError("Cannot make pictures together whose prompts are composed in different ways");
      }
    }
  }

  /**
   * Runs the text encoder over all chunks of the prompts, by the stages of `reader`. Throws a RangeError where there is not
   * one prompt a picture.
   */
  static async encode(
    canvas: Canvas,
    input: PromptInput,
    reader: Canvas,
  ): Promise<StepText> {
    const { conditional, unconditional, guidanceScale, signal } = input;
    const { images } = canvas.size;
    const isPlain = conditional.every(({ parts }) => parts.length === 1 && parts[0].weight === 1);
    const isGuided = halvesOf(guidanceScale, canvas.model) === 2;
    const negative = isGuided || !isPlain ? unconditional : [];
    const places = negative.length > 0 ? 2 * images : images, prompts = conditional.length + negative.length;
    if (prompts !== places) throw new RangeError(`${prompts} prompts for ${places} places`);
    const all = await encodePrompts(
      [...negative, ...conditional],
      (chunks, options) => encodeChunks(reader, chunks, { ...options, signal }),
    );
    return new StepText(
      canvas,
      all.slice(negative.length),
      all.slice(0, negative.length),
      isGuided ? guidanceScale : 1,
      input,
    );
  }

  /**
   * Runs a step: one call of the U-Net, or several and then the row; plans are given the `values` that they have.
   * Throws the signal's reason where it is aborted in between.
   */
  async run(call: number, { guided, timings, ...extras }: StepRun, values: StepValues): Promise<void> {
    if (!this.#isComposed(guided)) {
      const halves = guided ? 2 : 1, contexts = this.#contextsAt(call, guided), cache = this.#cache.next(contexts);
      const plan = await this.canvas.step({ halves, tokens: this.#tokens }, { ...extras, cache });
      this.#writeContexts(plan, contexts);
      write(plan, { ...values, extra: values.extra && joined(Array(halves).fill(values.extra)) });
      return plan.run(timings);
    }
    // A plan is asked for when it runs: they may not all fit.
    const parts = [...this.#partsAt(call, guided)], cache = this.#cache.next(parts.flatMap(({ contexts }) => contexts));
    for (const [i, { contexts, tokens, shares }] of parts.entries()) {
      const plan = await this.canvas.part(tokens, cache);
      if (cache === "read") this.canvas.movePart(i, cache);
      write(plan, { ...values, context: joined(contexts.map(({ states }) => states)), shares });
      plan.run();
      if (cache === "keep") this.canvas.movePart(i, cache);
      if ((i + 1) % partsAtOnce === 0) {
        await this.canvas.model.backend.device.idle();
        await breathe(this.canvas, this.#signal);
      }
    }
    const plan = await this.canvas.row(extras);
    write(plan, { ...values });
    plan.run();
  }

  /** Whether a step takes several calls of the U-Net: its halves differ in length, or its prompt is composed of several. */
  #isComposed(guided: boolean): boolean {
    const differs = this.#unconditional.some(({ parts }) => this.#lengthOf(parts) !== this.#tokens);
    return this.#conditional[0].parts.length > 1 || guided && differs;
  }

  /** Tokens of the conditional contexts. */
  get #tokens(): number {
    return this.#lengthOf(this.#conditional[0].parts);
  }

  /** The contexts of a model call that takes all halves at once. */
  #contextsAt(call: number, guided: boolean): Context[] {
    const halves = [...guided ? this.#unconditional : [], ...this.#conditional];
    return halves.map(({ parts }) => contextAt(parts[0].schedule, call));
  }

  /** Gives a step's plan its contexts, unless it has them. */
  #writeContexts(plan: Plan, contexts: Context[]): void {
    const last = this.#written.get(plan);
    if (last && contexts.every((context, i) => context === last[i])) return;
    plan.write("context", joined(contexts.map(({ states }) => states)));
    this.#written.set(plan, contexts);
  }

  /**
   * The calls of the U-Net in a step that is composed. With w the parts' weights, the conditional half becomes
   * (1 − Σw) · unconditional + Σ w · part: guidance then gives unconditional + scale · Σ w · (part − unconditional). Where
   * the step is not guided the first part stands for the unconditional, and both halves are one.
   */
  *#partsAt(call: number, guided: boolean): Generator<StepPart> {
    const { parts } = this.#conditional[0], single = parts.length === 1;
    const weights = parts.map(({ weight }) => single ? 1 : weight); // a single prompt's is in the scale
    const rest = 1 - weights.reduce((sum, weight) => sum + weight, 0);
    const at = (conditioning: Conditioning[], part: number, shares: number[]): StepPart => {
      const contexts = conditioning.map(({ parts }) => contextAt(parts[part].schedule, call));
      return { contexts, tokens: contexts[0].tokens, shares: Float32Array.from(shares) };
    };
    if (guided) yield at(this.#unconditional, 0, [0, 1, 0, rest]);
    for (const [i, weight] of weights.entries()) {
      const first = !guided && i === 0, share = first ? rest + weight : weight;
      yield at(this.#conditional, i, guided ? [1, 0, 1, share] : [first ? 0 : 1, share, first ? 0 : 1, share]);
    }
  }

  #lengthOf(parts: Conditioning["parts"]): number {
    return parts[0].schedule[0].context.tokens;
  }
}

/** Writes those values that a plan has. */
function write(plan: Plan, values: Readonly<Record<string, Float32Array | undefined>>): void {
  for (const [name, value] of Object.entries(values)) if (value && plan.named.has(name)) plan.write(name, value);
}

/** Says that all goes well, and hears whether it is to go on. */
async function breathe({ model }: Canvas, signal?: AbortSignal): Promise<void> {
  model.backend.alive();
  await turn();
  signal?.throwIfAborted();
}

/**
 * The hidden states of each chunk: two of them at a time, those with vectors of their own one by one. Ends between two runs
 * of the text encoder, with the signal's reason, once it is aborted.
 */
export async function encodeChunks(
  canvas: Canvas,
  chunks: readonly Chunk[],
  { skip, vectors, signal }: { skip: number; vectors: ReadonlyMap<string, Float32Array>; signal?: AbortSignal },
): Promise<Float32Array[]> {
  const { hidden_size, vocab_size, max_position_embeddings: length } = canvas.model.textEncoder.config;
  const states = new Map<Chunk, Float32Array>();
  const own = chunks.filter((chunk) => chunk.vectors.length > 0);
  for (const chunk of own) {
    const plan = await canvas.text({ sequences: 1, skip, withVectors: true });
    const ids = Uint32Array.from(chunk.tokens), rows = new Float32Array(length * hidden_size);
    for (const { at, name } of chunk.vectors) {
      const values = vectors.get(name)!;
      rows.set(values, at * hidden_size);
      for (let i = 0; i < values.length / hidden_size; i++) ids[at + i] = vocab_size + at + i;
    }
    plan.write("ids", ids);
    plan.write("vectors", rows);
    plan.run();
    states.set(chunk, await plan.read("states"));
    await breathe(canvas, signal);
  }
  const plain = chunks.filter((chunk) => chunk.vectors.length === 0);
  for (let i = 0; i < plain.length; i += 2) {
    const group = plain.slice(i, i + 2), plan = await canvas.text({ sequences: group.length as 1 | 2, skip });
    plan.write("ids", Uint32Array.from(group.flatMap(({ tokens }) => tokens)));
    plan.run();
    const all = await plan.read("states"), size = all.length / group.length;
    for (const [j, chunk] of group.entries()) states.set(chunk, all.slice(j * size, (j + 1) * size));
    await breathe(canvas, signal);
  }
  return chunks.map((chunk) => states.get(chunk)!);
}
