/** Byte-pair encoding of one word: Sennrich et al. (2016), over bytes as GPT-2 and CLIP write them. */

/** What CLIP puts behind a word's last symbol, so that a piece that ends a word is another token. */
const WORD_END = "</w>";
/** More than any word has symbols: a queue entry is rank · SPAN + position. */
const SPAN = 2 ** 32;

const utf8 = new TextEncoder();

/** The merges of a vocabulary, by ids, ready to be applied. */
export class BytePairEncoder {
  /** Id of every byte within a word, and as its last. */
  readonly #inside: Int32Array;
  readonly #last: Int32Array;
  /** Rank of a pair of ids, the lower the earlier it merges; key is left · size + right. */
  readonly #ranks = new Map<number, number>();
  /** What the pair of each rank becomes. */
  readonly #merged: Int32Array;
  /** Above every id. */
  readonly #size: number;
  /** The word at hand, kept from one to the next: most are short, and there can be a hundred thousand. */
  #word = new Word(64);

  /**
   * From vocab.json's ids and the lines of merges.txt ("left right", most frequent first).
   * Throws a RangeError where the vocabulary lacks a symbol, or a merge's part or result.
   */
  constructor(vocab: Readonly<Record<string, number>>, merges: readonly string[]) {
    const idOf = (token: string): number => {
      const id = Object.hasOwn(vocab, token) ? vocab[token] : undefined;
      if (id === undefined) throw new RangeError(`The vocabulary has no token ${JSON.stringify(token)}`);
      return id;
    };
    const symbols = byteSymbols();
    this.#inside = Int32Array.from(symbols, idOf);
    this.#last = Int32Array.from(symbols, (symbol) => idOf(symbol + WORD_END));
    this.#size = Object.keys(vocab).length;
    this.#merged = Int32Array.from(merges, (merge, rank) => {
      const space = merge.indexOf(" ");
      const [left, right] = [merge.slice(0, space), merge.slice(space + 1)];
      this.#ranks.set(idOf(left) * this.#size + idOf(right), rank);
      return idOf(left + right);
    });
  }

  /**
   * Appends the ids of `text`, one word that is not empty, to `ids`. Takes n log n time for n bytes, whatever the word: a
   * prompt may be one of a hundred thousand.
   */
  encode(text: string, ids: number[]): void {
    // A UTF-16 unit takes at most three bytes.
    if (3 * text.length > this.#word.bytes.length) this.#word = new Word(6 * text.length);
    const { bytes, tokens, before, behind, queue } = this.#word;
    const count = utf8.encodeInto(text, bytes).written;
    for (let place = 0; place < count; place++) {
      tokens[place] = place + 1 < count ? this.#inside[bytes[place]] : this.#last[bytes[place]];
      before[place] = place - 1;
      behind[place] = place + 1;
    }

    const rankAt = (place: number): number | undefined =>
      behind[place] < count ? this.#ranks.get(tokens[place] * this.#size + tokens[behind[place]]) : undefined;
    const offer = (place: number): void => {
      const rank = rankAt(place);
      if (rank !== undefined) queue.push(rank * SPAN + place);
    };
    for (let place = 0; place + 1 < count; place++) offer(place);
    for (let entry = queue.pop(); entry !== undefined; entry = queue.pop()) {
      const place = entry % SPAN;
      const rank = Math.floor(entry / SPAN);
      // The pair may be gone since it was queued: either token is part of another by now.
      if (tokens[place] < 0 || rankAt(place) !== rank) continue;
      const absorbed = behind[place];
      tokens[place] = this.#merged[rank];
      tokens[absorbed] = -1;
      behind[place] = behind[absorbed];
      if (behind[place] < count) before[behind[place]] = place;
      if (place > 0) offer(before[place]);
      offer(place);
    }
    for (let place = 0; place < count; place = behind[place]) ids.push(tokens[place]);
  }
}

/** A word as a list of tokens: each stands where its first byte does, and knows the places before and behind it. */
class Word {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly tokens: Int32Array;
  readonly before: Int32Array;
  readonly behind: Int32Array;
  /** Pairs that may merge, the lowest rank first and the leftmost of equal ones. */
  readonly queue = new MinQueue();

  constructor(capacity: number) {
    this.bytes = new Uint8Array(capacity);
    this.tokens = new Int32Array(capacity);
    this.before = new Int32Array(capacity);
    this.behind = new Int32Array(capacity);
  }
}

/** The printable character that stands for each byte: itself where it has one, else one from U+0100 on. */
function byteSymbols(): string[] {
  let next = 256;
  return Array.from({ length: 256 }, (_, byte) => {
    const printable = (byte > 32 && byte < 127) || (byte > 160 && byte !== 173);
    return String.fromCharCode(printable ? byte : next++);
  });
}

/** A binary heap of numbers that gives the smallest first. */
class MinQueue {
  readonly #heap: number[] = [];

  push(value: number): void {
    const heap = this.#heap;
    let at = heap.push(value) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (heap[parent] <= value) break;
      heap[at] = heap[parent];
      at = parent;
    }
    heap[at] = value;
  }

  pop(): number | undefined {
    const heap = this.#heap;
    const smallest = heap[0];
    const value = heap.pop();
    if (value === undefined || heap.length === 0) return smallest;
    let at = 0;
    for (let child = 1; child < heap.length; child = 2 * at + 1) {
      if (child + 1 < heap.length && heap[child + 1] < heap[child]) child++;
      if (heap[child] >= value) break;
      heap[at] = heap[child];
      at = child;
    }
    heap[at] = value;
    return smallest;
  }
}
