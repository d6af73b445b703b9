/** A prompt's tokens in chunks as long as the text encoder reads, so that a prompt of any length is read to its end. */
import { isBreak, type Segment } from "./attention.ts";

/** Tokens of a prompt in one chunk; a start and an end token go around them. */
const CHUNK = 75;
/** A chunk that is full ends behind a comma instead, if one is among this many tokens of its end. */
const BACKTRACK = 20;

/** The part of a tokenizer that chunks are made with. */
export interface Words {
  /** The ids of a text of any length, without start, end and padding. */
  tokens(text: string): number[];
  readonly start: number;
  readonly end: number;
  /** What fills a chunk behind its end token. */
  readonly pad: number;
  /** The id of a comma that ends a word. */
  readonly comma: number;
}

/** A word whose vectors are not the text encoder's own: a textual inversion. */
export interface EmbeddedWord {
  name: string;
  /** How many tokens' places its vectors take, 1 to 75. */
  vectors: number;
  /** The ids that its name has as text. */
  tokens: readonly number[];
}

/** What the text encoder reads at once: always 77 tokens, start and end among them. */
export interface Chunk {
  tokens: number[];
  /** What each token's hidden state is multiplied by. */
  weights: number[];
  /** Vectors of embedded words, each from the token `at` on; the tokens there mean nothing. */
  vectors: { at: number; name: string }[];
}

/**
 * Chunks of 75 tokens, at least one, as A1111 cuts them: a BREAK ends one, and a full one ends behind its last comma where
 * that is no more than 20 tokens back. An embedded word is never cut.
 */
export function chunksOf(segments: readonly Segment[], words: Words, embedded: readonly EmbeddedWord[] = []): Chunk[] {
  const wordAt = finder(embedded);
  const chunks: Chunk[] = [];
  let chunk: Chunk = { tokens: [], weights: [], vectors: [] };
  /** Place of the last comma in the chunk at hand. */
  let comma = -1;
  const next = () => {
    chunks.push(finish(chunk, words));
    chunk = { tokens: [], weights: [], vectors: [] };
    comma = -1;
  };

  for (const segment of segments) {
    if (isBreak(segment)) {
      next();
      continue;
    }
    const tokens = words.tokens(segment.text), { weight } = segment;
    for (let at = 0; at < tokens.length;) {
      const length = chunk.tokens.length;
      if (tokens[at] === words.comma) comma = length;
      else if (length === CHUNK && comma !== -1 && length - comma <= BACKTRACK) {
        const [moved, weights] = [chunk.tokens.splice(comma + 1), chunk.weights.splice(comma + 1)];
        const vectors = chunk.vectors.filter((vector) => vector.at > comma);
        chunk.vectors = chunk.vectors.filter((vector) => vector.at <= comma);
        const begin = comma + 1;
        next();
        chunk = { tokens: moved, weights, vectors: vectors.map(({ at, name }) => ({ at: at - begin, name })) };
      }
      if (chunk.tokens.length === CHUNK) next();

      const word = wordAt(tokens, at);
      if (!word) {
        chunk.tokens.push(tokens[at++]);
        chunk.weights.push(weight);
        continue;
      }
      if (chunk.tokens.length + word.vectors > CHUNK) next();
      chunk.vectors.push({ at: chunk.tokens.length, name: word.name });
      for (let i = 0; i < word.vectors; i++) {
        chunk.tokens.push(0);
        chunk.weights.push(weight);
      }
      at += word.tokens.length;
    }
  }
  if (chunk.tokens.length > 0 || chunks.length === 0) next();
  return chunks;
}

/** The chunk of a prompt without tokens: what shorter prompts are filled up with beside longer ones. */
export function emptyChunk(words: Words): Chunk {
  return finish({ tokens: [], weights: [], vectors: [] }, words);
}

/** A chunk with start, end and padding; its vectors move by the start token. */
function finish({ tokens, weights, vectors }: Chunk, { start, end, pad }: Words): Chunk {
  const missing = CHUNK - tokens.length;
  const all = [start, ...tokens, ...new Array<number>(missing + 1).fill(end)];
  // Padding begins behind the first end token, also behind one that the prompt itself has.
  if (pad !== end) all.fill(pad, all.indexOf(end) + 1);
  return {
    tokens: all,
    weights: [1, ...weights, ...new Array<number>(missing + 1).fill(1)],
    vectors: vectors.map(({ at, name }) => ({ at: at + 1, name })),
  };
}

/** Finds the embedded word whose name begins at a token, the longest of several. */
function finder(embedded: readonly EmbeddedWord[]): (tokens: number[], at: number) => EmbeddedWord | undefined {
  const byFirst = Map.groupBy(
    embedded.filter(({ tokens }) => tokens.length > 0).toSorted((a, b) => b.tokens.length - a.tokens.length),
    ({ tokens }) => tokens[0],
  );
  return (tokens, at) =>
    byFirst.get(tokens[at])?.find((word) => word.tokens.every((token, i) => tokens[at + i] === token));
}
