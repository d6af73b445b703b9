import { BytePairEncoder } from "./bpe.ts";

const START = "<|startoftext|>";
const END = "<|endoftext|>";
const COMMA = ",</w>";
/** Positions that CLIP's text encoders have. */
const CONTEXT = 77;

/** Special tokens count where they are written exactly like this; the capture makes `split()` keep them. */
const SPECIAL = /(<\|startoftext\|>|<\|endoftext\|>)/;

/**
 * CLIP's own way to cut text into words (Radford et al., 2021): contractions, runs of letters, single digits, runs of
 * anything else but white space. A special token in other letter case is three words, which its groups give.
 */
const WORDS = /(<\|)(startoftext|endoftext)(\|>)|'s|'t|'re|'ve|'m|'ll|'d|\p{L}+|\p{N}|[^\p{White_Space}\p{L}\p{N}]+/gu;

/** A prompt as the text encoder takes it. */
export interface Tokens {
  /** Start token, the prompt's, end token and padding: always as many as the encoder has positions. */
  ids: number[];
  /** How many of the prompt's tokens were left out because they did not fit. */
  truncated: number;
}

/** What a tokenizer is made from: the contents of its folder. */
export interface ClipTokenizerFiles {
  /** vocab.json: every token's id. */
  vocab: Readonly<Record<string, number>>;
  /** merges.txt: a line per pair, most frequent first, after one that names the version. */
  merges: string;
  /** What fills up short prompts: "<|endoftext|>" for SD 1.x, "!" for SD 2.x. */
  padToken?: string;
  /** Ids of one prompt, start and end included. */
  maxLength?: number;
}

/**
 * CLIP's byte-pair encoding: NFC, lower case, words, bytes, merges. Padding is an id and no token of the text: a "!" in a
 * prompt stays the word it was in training, also where prompts are padded with it.
 * Throws a RangeError where the vocabulary is not CLIP's or does not go with the merges.
 */
export class ClipTokenizer {
  readonly #encoder: BytePairEncoder;
  readonly #ids: { readonly [special: string]: number };
  /** The id that fills up a prompt behind its end. */
  readonly pad: number;
  /** The id of a comma that ends a word. */
  readonly comma: number;
  readonly #maxLength: number;

  constructor({ vocab, merges, padToken = END, maxLength = CONTEXT }: ClipTokenizerFiles) {
    this.#ids = { [START]: idOf(START, vocab), [END]: idOf(END, vocab) };
    this.pad = idOf(padToken, vocab);
    this.comma = idOf(COMMA, vocab);
    this.#maxLength = maxLength;
    const pairs = merges.split(/\r?\n/).filter((line) => line !== "" && !line.startsWith("#version"));
    this.#encoder = new BytePairEncoder(vocab, pairs);
  }

  /**
   * The ids of a prompt of any length and content, and how many tokens were lost.
   * @example tokenizer.encode("a cat").ids // [49406, 320, 2368, 49407, …]
   */
  encode(prompt: string): Tokens {
    const ids = this.tokens(prompt), kept = ids.slice(0, this.#maxLength - 2);
    const padding = new Array(this.#maxLength - 2 - kept.length).fill(this.pad);
    return { ids: [this.start, ...kept, this.end, ...padding], truncated: ids.length - kept.length };
  }

  /** The ids of a text of any length and content, without start, end and padding. */
  tokens(text: string): number[] {
    const ids: number[] = [];
    for (const part of text.split(SPECIAL)) {
      if (Object.hasOwn(this.#ids, part)) ids.push(this.#ids[part]);
      else for (const word of wordsOf(part)) this.#encoder.encode(word, ids);
    }
    return ids;
  }

  /** The id that every prompt begins with. */
  get start(): number {
    return this.#ids[START];
  }

  /** The id that every prompt ends with. */
  get end(): number {
    return this.#ids[END];
  }
}

/** The words of a text in normal form. White space needs no collapsing: it is in no word. */
function* wordsOf(text: string): Generator<string, void, void> {
  // JavaScript lowers a sigma at the end of a word to "ς", the reference every one to "σ".
  const normal = text.normalize("NFC").replaceAll("Σ", "σ").toLowerCase();
  for (const [word, ...special] of normal.matchAll(WORDS)) {
    if (special[0] === undefined) yield word;
    else yield* special;
  }
}

/**
 * The tokenizer of a model's `tokenizer` folder: vocab.json, merges.txt, and where present tokenizer_config.json and
 * special_tokens_map.json. A `padToken` that is given comes before theirs. Throws an Error naming the file where one is
 * missing or unusable.
 */
export function loadTokenizer(folder: string, { padToken }: { padToken?: string } = {}): ClipTokenizer {
  const config = readJson(`${folder}/tokenizer_config.json`, {});
  const special = readJson(`${folder}/special_tokens_map.json`, {});
  const maxLength = Number(config.model_max_length ?? CONTEXT);
  try {
    return new ClipTokenizer({
      vocab: readJson(`${folder}/vocab.json`) as Record<string, number>,
      merges: readText(`${folder}/merges.txt`),
      padToken: padToken ?? contentOf(config.pad_token) ?? contentOf(special.pad_token),
      // Some files say 10³⁰ where nothing was set.
      maxLength: maxLength >= 3 && maxLength <= CONTEXT ? Math.floor(maxLength) : CONTEXT,
    });
  } catch (error) {
    if (error instanceof RangeError) throw new Error(`Cannot use ${folder}: ${error.message}`, { cause: error });
    throw error;
  }
}

function idOf(token: string, vocab: ClipTokenizerFiles["vocab"]): number {
  if (Object.hasOwn(vocab, token)) return vocab[token];
  throw new RangeError(`The vocabulary has no token ${JSON.stringify(token)}`);
}

/** A special token is written as text, or as an object with that text as its content. */
function contentOf(token: unknown): string | undefined {
  if (typeof token === "object" && token !== null && "content" in token) return contentOf(token.content);
  return typeof token === "string" ? token : undefined;
}

function readJson(path: string, absent?: Record<string, unknown>): Record<string, unknown> {
  const text = readText(path, absent && JSON.stringify(absent));
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new Error(`Cannot read ${path}: it is no JSON`, { cause: error });
  }
}

function readText(path: string, absent?: string): string {
  try {
    return Deno.readTextFileSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound && absent !== undefined) return absent;
    throw new Error(`Cannot read ${path}: a CLIP tokenizer needs its vocab.json and merges.txt`, { cause: error });
  }
}
