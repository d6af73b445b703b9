/** Weights in a prompt, as A1111 writes them: `(word)`, `(word:1.3)`, `[word]`, and `BREAK`. */
import { SPACE, trimEnd, trimStart, wholeWord } from "./text.ts";

/** A piece of a prompt and how much its tokens count. */
export interface Segment {
  text: string;
  weight: number;
}

const round = 1.1;
const square = 1 / 1.1;

/** A mark, an escaped one, a weight before its bracket, or text up to the next of them. */
const pattern = new RegExp(
  `\\\\[()[\\]\\\\]?|[()[\\]]|:[${SPACE}]*([+-]?(?:\\d+\\.?\\d*|\\.\\d+))[${SPACE}]*\\)|[^\\\\()[\\]:]+|:`,
  "g",
);

/** What stands for a BREAK among segments. */
const breakMark: Segment = { text: "BREAK", weight: -1 };

/** Whether a segment begins a new chunk of tokens and has none itself. */
export function isBreak({ text, weight }: Segment): boolean {
  return text === breakMark.text && weight === breakMark.weight;
}

/**
 * A prompt's segments, at least one. `(…)` multiplies weights by 1.1, `[…]` by 1/1.1, `(…:w)` by w; a backslash makes the
 * next bracket or backslash a character; a bracket that is never closed counts to the end, a closing one that was never
 * opened is a character. Brackets around a BREAK make a word of it, as they do in A1111. Never throws.
 * @example segmentsOf("a (red:1.3) cat") // [{ text: "a ", weight: 1 }, { text: "red", weight: 1.3 }, …]
 */
export function segmentsOf(prompt: string): Segment[] {
  const segments: Segment[] = [];
  /** Where each open bracket's segments begin. */
  const rounds: number[] = [], squares: number[] = [];
  const multiply = (begin: number, factor: number) => {
    for (let i = begin; i < segments.length; i++) segments[i].weight *= factor;
  };
  for (const [mark, weight] of prompt.matchAll(pattern)) {
    if (mark[0] === "\\") segments.push({ text: mark.slice(1), weight: 1 });
    else if (mark === "(") rounds.push(segments.length);
    else if (mark === "[") squares.push(segments.length);
    else if (weight !== undefined && rounds.length > 0) multiply(rounds.pop()!, Number(weight));
    else if (mark === ")" && rounds.length > 0) multiply(rounds.pop()!, round);
    else if (mark === "]" && squares.length > 0) multiply(squares.pop()!, square);
    else segments.push(...splitAtBreaks(mark));
  }
  for (const begin of rounds) multiply(begin, round);
  for (const begin of squares) multiply(begin, square);
  return segments.length > 0 ? merge(segments) : [{ text: "", weight: 1 }];
}

/** The texts between the words BREAK, with a mark between each two. */
function* splitAtBreaks(text: string): Generator<Segment> {
  const parts = text.split(wholeWord(breakMark.text)), last = parts.length - 1;
  for (const [i, part] of parts.entries()) {
    if (i > 0) yield { ...breakMark };
    const begun = i > 0 ? trimStart(part) : part;
    yield { text: i < last ? trimEnd(begun) : begun, weight: 1 };
  }
}

/** Neighbours of one weight as one segment. */
function merge(segments: Segment[]): Segment[] {
  const merged: Segment[] = [];
  for (const { text, weight } of segments) {
    const last = merged.at(-1);
    if (last?.weight === weight) last.text += text;
    else merged.push({ text, weight });
  }
  return merged;
}
