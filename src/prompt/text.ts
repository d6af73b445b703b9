/** Characters as the prompt syntax counts them: Python's, in whose regular expressions it was defined. */

/** White space, for use inside of a character class. */
export const SPACE = "\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000";
/** What a word is made of, for use inside of a character class. */
const WORD = "\\p{L}\\p{N}_";

/** A regular expression for `word` where it stands alone. */
export function wholeWord(word: string): RegExp {
  return new RegExp(`(?<![${WORD}])${word}(?![${WORD}])`, "gu");
}

const space = new RegExp(`[${SPACE}]`);

/** The text without white space at its end. */
export function trimEnd(text: string): string {
  let end = text.length;
  while (end > 0 && space.test(text[end - 1])) end--;
  return text.slice(0, end);
}

/** The text without white space at its beginning. */
export function trimStart(text: string): string {
  let begin = 0;
  while (begin < text.length && space.test(text[begin])) begin++;
  return text.slice(begin);
}
