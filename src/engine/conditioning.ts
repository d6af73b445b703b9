/** What a U-Net is told of a prompt: parsed and cut into chunks here, run through the text encoder chunk by chunk, weighted. */
import { segmentsOf } from "../prompt/attention.ts";
import { type Chunk, chunksOf, type EmbeddedWord, emptyChunk, type Words } from "../prompt/chunks.ts";
import { composedPromptsOf } from "../prompt/compose.ts";
import { type Emphasis, emphasise } from "../prompt/emphasis.ts";
import { scheduleOf } from "../prompt/schedule.ts";
import { joined } from "../tensor/join.ts";

/** How prompts are read: with A1111's syntax, or word for word and up to 77 tokens, as diffusers does. */
export type PromptSyntax = "a1111" | "plain";
export const promptSyntaxes: readonly PromptSyntax[] = ["a1111", "plain"];

/** A prompt ready for the text encoder. */
export interface PromptPlan {
  /** The prompts it is composed of, each with its texts by steps: one of one text where it has no syntax. */
  parts: { weight: number; schedule: { until: number; chunks: Chunk[] }[] }[];
  emphasis: Emphasis;
  /** Layers of the text encoder that are left out at its end. */
  skip: number;
  /** Vectors of embedded words by name, [vectors, width]. */
  vectors: ReadonlyMap<string, Float32Array>;
  /** Tokens that were left out because they did not fit. */
  truncated: number;
}

/** How a prompt is to be read. */
export interface PromptOptions {
  syntax?: PromptSyntax;
  emphasis?: Emphasis;
  skip?: number;
  /** Model calls of the run, which schedules are spread over. */
  calls: number;
  /** Those of the run before, where this is the second pass of a picture. */
  firstPass?: number;
  /** Whether the prompt may be composed of several: a negative one may not. */
  composed?: boolean;
  /** How many chunks its texts may have together, each text counted with what it is filled up with; any number where absent. */
  mostChunks?: number;
  /** Words whose vectors are not the text encoder's own. */
  embedded?: readonly (EmbeddedWord & { values: Float32Array })[];
}

/** The part of a tokenizer that prompts are read with. */
export interface PromptTokenizer extends Words {
  encode(prompt: string): { ids: number[]; truncated: number };
}

/** A prompt of tokens as they are. */
export function tokensPlan(ids: ArrayLike<number>, { skip = 0, truncated = 0 } = {}): PromptPlan {
  const chunk = { tokens: Array.from(ids), weights: new Array<number>(ids.length).fill(1), vectors: [] };
  const parts = [{ weight: 1, schedule: [{ until: Infinity, chunks: [chunk] }] }];
  return { parts, emphasis: "none", skip, vectors: new Map(), truncated };
}

/** A prompt's texts are too many and too long to be kept in memory. */
export class PromptTooLongError extends RangeError {
  override name = "PromptTooLongError";
  constructor(readonly mostChunks: number) {
    super(`A prompt's texts have more than ${mostChunks} chunks together`);
  }
}

/**
 * Reads a prompt.
 * @throws {PromptTooLongError} when its texts have more chunks than may be.
 */
export function planPrompt(
  prompt: string,
  tokenizer: PromptTokenizer,
  {
    syntax = "a1111",
    emphasis = "original",
    skip = 0,
    calls,
    firstPass,
    composed = true,
    embedded = [],
    mostChunks = Infinity,
  }: PromptOptions,
): PromptPlan {
  if (syntax === "plain") {
    const { ids, truncated } = tokenizer.encode(prompt);
    return tokensPlan(ids, { skip, truncated });
  }
  const segments = (text: string) => emphasis === "none" ? [{ text, weight: 1 }] : segmentsOf(text);
  const known = new Map<string, Chunk[]>();
  let count = 0, texts = 0;
  const check = (chunks: number) => {
    if (chunks > mostChunks) throw new PromptTooLongError(mostChunks);
  };
  const chunks = (text: string) => {
    let found = known.get(text);
    if (!found) {
      known.set(text, found = chunksOf(segments(text), tokenizer, embedded));
      check(count += found.length);
    }
    return found;
  };
  const parts = (composed ? composedPromptsOf(prompt) : [{ text: prompt, weight: 1 }]).map(({ text, weight }) => {
    const entries = scheduleOf(text, { steps: calls, firstPass });
    const schedule = entries.map(({ until, text }) => ({ until, chunks: chunks(text) }));
    texts += new Set(entries.map(({ text }) => text)).size;
    // A1111 fills shorter texts of a schedule up with empty chunks.
    const most = Math.max(...schedule.map(({ chunks }) => chunks.length)), empty = emptyChunk(tokenizer);
    const filled = (chunks: Chunk[]) => [...chunks, ...Array<Chunk>(most - chunks.length).fill(empty)];
    return { weight, schedule: schedule.map(({ until, chunks }) => ({ until, chunks: filled(chunks) })) };
  });
  // All parts will be as long as the longest.
  check(texts * Math.max(...parts.map(({ schedule }) => schedule[0].chunks.length)));
  const vectors = new Map(embedded.map(({ name, values }) => [name, values]));
  return { parts, emphasis, skip, vectors, truncated: 0 };
}

/** Hidden states of one text, [tokens, width]; texts that are alike are one object. */
export interface Context {
  readonly states: Float32Array;
  readonly tokens: number;
}

/** A prompt as the U-Net is told it, by model calls. All contexts of a part have the same length. */
export interface Conditioning {
  parts: { weight: number; schedule: { until: number; context: Context }[] }[];
}

/** Runs chunks through the text encoder, some layers left out: hidden states [77, width] of each, in a buffer of its own. */
export type EncodeChunks = (
  chunks: readonly Chunk[],
  options: { skip: number; vectors: ReadonlyMap<string, Float32Array> },
) => Promise<Float32Array[]>;

/** The conditioning of each plan; what several have in common is encoded once. */
export async function encodePrompts(plans: readonly PromptPlan[], encode: EncodeChunks): Promise<Conditioning[]> {
  const states = new Map<string, Float32Array>();
  const made = new Map<PromptPlan, Conditioning>();
  for (const plan of new Set(plans)) {
    const wanted = new Map<string, Chunk>();
    for (const chunk of plan.parts.flatMap(({ schedule }) => schedule).flatMap(({ chunks }) => chunks)) {
      const key = keyOf(chunk, plan);
      if (!states.has(key)) wanted.set(key, chunk);
    }
    const encoded = await encode([...wanted.values()], plan);
    for (const [i, key] of [...wanted.keys()].entries()) states.set(key, encoded[i]);
  }
  for (const plan of new Set(plans)) {
    made.set(plan, { parts: plan.parts.map(({ weight, schedule }) => ({ weight, schedule: weigh(schedule, plan) })) });
    alignParts(made.get(plan)!);
  }
  return plans.map((plan) => made.get(plan)!);

  /** The contexts of one part: its weights applied, chunk by chunk, with one mean for all its texts as in A1111. */
  function weigh(schedule: PromptPlan["parts"][number]["schedule"], plan: PromptPlan) {
    const texts = Map.groupBy(schedule, ({ chunks }) => textKey(chunks));
    const contexts = new Map<string, Context>();
    const rows = [...texts].map(([key, { length: count, 0: { chunks } }]) => {
      const whole = joined(chunks.map((chunk) => states.get(keyOf(chunk, plan))!)), size = whole.length / chunks.length;
      contexts.set(key, { states: whole, tokens: chunks.reduce((sum, { tokens }) => sum + tokens.length, 0) });
      return chunks.map(({ weights }, i) => ({ states: whole.subarray(i * size, (i + 1) * size), weights, count }));
    });
    for (const i of rows[0].keys()) emphasise(rows.map((chunks) => chunks[i]), plan.emphasis);
    return schedule.map(({ until, chunks }) => ({ until, context: contexts.get(textKey(chunks))! }));
  }
}

/** Composed prompts of several lengths become as long as the longest by repeating their last hidden state, as in A1111. */
function alignParts({ parts }: Conditioning): void {
  const most = Math.max(...parts.map(({ schedule }) => schedule[0].context.tokens));
  const longer = new Map<Context, Context>();
  const lengthen = (context: Context): Context => {
    const { states, tokens } = context, width = states.length / tokens;
    if (tokens === most) return context;
    const found = longer.get(context);
    if (found) return found;
    const last = states.subarray(states.length - width);
    const made = { states: joined([states, ...Array<Float32Array>(most - tokens).fill(last)]), tokens: most };
    longer.set(context, made);
    return made;
  };
  for (const { schedule } of parts) for (const entry of schedule) entry.context = lengthen(entry.context);
}

/** The context at a model call, counted from 0: A1111 goes on with an entry until its step has been passed. */
export function contextAt(schedule: Conditioning["parts"][number]["schedule"], call: number): Context {
  return (schedule.find(({ until }) => call <= until) ?? schedule.at(-1)!).context;
}

/** Embedded words of one name are the same in all prompts of a request. */
function keyOf(chunk: Chunk, { skip }: PromptPlan): string {
  return `${skip} ${chunkKey(chunk)}`;
}

function chunkKey({ tokens, vectors }: Chunk): string {
  return [...tokens, ...vectors.flatMap(({ at, name }) => [at, name])].join();
}

/** Texts that differ in weights alone are different. */
function textKey(chunks: readonly Chunk[]): string {
  return chunks.map((chunk) => `${chunkKey(chunk)} ${chunk.weights}`).join(";");
}
