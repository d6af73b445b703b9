import { CheckpointError, quote } from "./error.ts";

/** Arrays and objects inside one another, as serde_json counts them; one more is an error there. */
const MAX_DEPTH = 127;
const U64_MAX = 2n ** 64n - 1n;
const NUMBER = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y;
const LITERAL = /true|false|null/y;

/** What a value is, by its first character. */
export type JsonKind = "object" | "array" | "string" | "number" | "true" | "false" | "null";

/**
 * Reads JSON front to back, the caller saying what it expects next, with the verdicts of Rust's serde_json. `JSON.parse`
 * would hide what those depend on: repeated keys, 2.0 for 2, integers past 2⁵³, lone surrogates, nesting depth.
 * Every method throws a CheckpointError that says what was expected, what was found and where. Time is linear in the text.
 */
export class JsonReader {
  /** What the errors say is not valid. */
  subject = "its header";
  readonly #text: string;
  #at = 0;
  #depth = 0;

  constructor(text: string) {
    this.#text = text;
  }

  /** What the next value is, not yet taken. */
  kind(): JsonKind {
    this.#space();
    switch (this.#text[this.#at]) {
      case "{":
        return "object";
      case "[":
        return "array";
      case '"':
        return "string";
      case "t":
        return "true";
      case "f":
        return "false";
      case "n":
        return "null";
    }
    return this.#isDigit() || this.#text[this.#at] === "-" ? "number" : this.#fail("a value");
  }

  /** Takes an object, calling `member` with each key; `member` takes the value. */
  object(member: (key: string) => void): void {
    this.#nest("{", "}", () => {
      const key = this.string();
      if (!this.#take(":")) this.#fail('":"');
      member(key);
    });
  }

  /** Takes an array, calling `element` with each index; `element` takes the value. */
  array(element: (index: number) => void): void {
    let index = 0;
    this.#nest("[", "]", () => element(index++));
  }

  /** Takes a string. Escapes must be whole, and surrogates paired. */
  string(): string {
    this.#space();
    const text = this.#text;
    if (text[this.#at] !== '"') this.#fail("a string");
    const begin = this.#at++;
    let escaped = false;
    for (;;) {
      const code = text.charCodeAt(this.#at);
      if (code === 0x22) break;
      if (!(code >= 0x20)) this.#fail("the end of a string"); // a control character, or NaN past the end
      if (code === 0x5c) {
        escaped = true;
        this.#at++;
      }
      this.#at++;
    }
    const end = this.#at++;
    if (!escaped) return text.slice(begin + 1, end);
    try {
      const value: string = JSON.parse(text.slice(begin, end + 1));
      if (value.isWellFormed()) return value;
    } catch { /* the message below says more */ }
    this.#at = begin;
    return this.#fail("a string with valid escapes");
  }

  /** Takes a whole number from 0 to 2⁶⁴ − 1, written as digits only; a bigint where a number would not hold it exactly. */
  integer(): number | bigint {
    this.#space();
    const begin = this.#at;
    let value = 0;
    while (this.#isDigit()) value = value * 10 + this.#text.charCodeAt(this.#at++) - 0x30;
    const digits = this.#at - begin;
    const leadingZero = digits > 1 && this.#text[begin] === "0";
    const next = this.#text[this.#at];
    if (digits === 0 || leadingZero || next === "." || next === "e" || next === "E") {
      this.#at = begin;
      this.#fail("a whole number, not negative and without point or exponent");
    }
    if (value <= Number.MAX_SAFE_INTEGER) return value;
    const exact = digits <= 20 ? BigInt(this.#text.slice(begin, this.#at)) : U64_MAX + 1n;
    if (exact <= U64_MAX) return exact;
    this.#at = begin;
    return this.#fail("a whole number below 2⁶⁴");
  }

  /** Takes and drops one value of any kind, checking it as strictly as one that is used. */
  skip(): void {
    const kind = this.kind();
    switch (kind) {
      case "object":
        return this.object(() => this.skip());
      case "array":
        return this.array(() => this.skip());
      case "string":
        return void this.string();
      case "number":
        if (!Number.isFinite(Number(this.#match(NUMBER, "a number")))) this.#fail("a number below 1.8e308");
        return;
      case "true":
      case "false":
      case "null":
        return void this.#match(LITERAL, "true, false or null");
      default:
        kind satisfies never;
    }
  }

  /** Requires that nothing but white space is left. */
  end(): void {
    this.#space();
    if (this.#at < this.#text.length) this.#fail("nothing more");
  }

  #nest(open: string, close: string, item: () => void): void {
    if (!this.#take(open)) this.#fail(open === "{" ? "an object" : "an array");
    if (++this.#depth > MAX_DEPTH) this.#fail(`at most ${MAX_DEPTH} nested values`);
    if (!this.#take(close)) {
      do item(); while (this.#take(","));
      if (!this.#take(close)) this.#fail(`"," or "${close}"`);
    }
    this.#depth--;
  }

  #take(character: string): boolean {
    this.#space();
    if (this.#text[this.#at] !== character) return false;
    this.#at++;
    return true;
  }

  #match(pattern: RegExp, expected: string): string {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#text)?.[0];
    if (found === undefined) return this.#fail(expected);
    this.#at += found.length;
    return found;
  }

  #isDigit(): boolean {
    const code = this.#text.charCodeAt(this.#at);
    return code >= 0x30 && code <= 0x39;
  }

  #space(): void {
    for (;; this.#at++) {
      const code = this.#text.charCodeAt(this.#at);
      if (code !== 0x20 && code !== 0x0a && code !== 0x0d && code !== 0x09) return;
    }
  }

  #fail(expected: string): never {
    const found = this.#text.slice(this.#at, this.#at + 12);
    const seen = found === "" ? "the end" : quote(found);
    const where = `at character ${this.#at} of the header`;
    throw new CheckpointError(`${this.subject} is not valid: expected ${expected} ${where}, found ${seen}`);
  }
}
