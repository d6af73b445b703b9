/**
 * The kinds of fields a request is made of: each checks one value that arrived as text (query, form) or as JSON, and
 * describes itself as JSON Schema.
 */

/** A value that a request cannot be made from: one sentence naming the field, the value found and what would do. */
export class RequestError extends Error {
  override name = "RequestError";
  constructor(readonly field: string, message: string) {
    super(message);
  }
}

/** A value that names what there is, and that will not do: it does not go with the others, or is of another kind. */
export class ConflictError extends RequestError {
  override name = "ConflictError";
}

/** One field: how its value is checked and how it is described. */
export interface Field<T> {
  /** @throws RequestError naming `name` */
  parse(name: string, value: unknown): T;
  readonly schema: Readonly<Record<string, unknown>>;
}

/** Text of at most `maxBytes` bytes of UTF-8. */
export function text({ maxBytes }: { maxBytes: number }): Field<string> {
  return {
    schema: { type: "string", maxLength: maxBytes },
    parse(name, value) {
      if (typeof value !== "string") throw wrong(name, "text", value);
      const bytes = value.length > maxBytes ? value.length : new TextEncoder().encode(value).length;
      if (bytes > maxBytes) {
        throw new RequestError(name, `Field ${name} has more than ${maxBytes} bytes, ${maxBytes} or fewer would do`);
      }
      if (value.includes("\0")) {
        throw new RequestError(name, `Field ${name} holds a NUL character, text without would do`);
      }
      if (!value.isWellFormed()) {
        throw new RequestError(name, `Field ${name} holds half of a surrogate pair, well-formed Unicode would do`);
      }
      return value;
    },
  };
}

/** A whole number from `min` to `max`, and a multiple of `multipleOf`. */
export function whole({ min, max, multipleOf = 1 }: { min: number; max: number; multipleOf?: number }): Field<number> {
  const kind = multipleOf === 1 ? "a whole number" : `a multiple of ${multipleOf}`;
  return {
    schema: { type: "integer", minimum: min, maximum: max, ...(multipleOf > 1 && { multipleOf }) },
    parse(name, value) {
      const number = typeof value === "string" && /^-?\d{1,15}$/.test(value) ? Number(value) : value;
      if (!isWhole(number) || number < min || number > max || number % multipleOf !== 0) {
        throw wrong(name, `${kind} from ${min} to ${max}`, value);
      }
      return number + 0; // not −0
    },
  };
}

/** A number from `min` to `max`, both inclusive unless `aboveMin`. */
export function decimal(
  { min, max, aboveMin = false }: { min: number; max: number; aboveMin?: boolean },
): Field<number> {
  return {
    schema: { type: "number", [aboveMin ? "exclusiveMinimum" : "minimum"]: min, maximum: max },
    parse(name, value) {
      const number = typeof value === "string" && /^-?(\d{1,15}(\.\d*)?|\.\d+)$/.test(value) ? Number(value) : value;
      if (typeof number !== "number" || !(number <= max) || number < min || (aboveMin && number === min)) {
        throw wrong(name, aboveMin ? `a number above ${min}, up to ${max}` : `a number from ${min} to ${max}`, value);
      }
      return number + 0;
    },
  };
}

const milliseconds: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };
/** Days of the longest time that is counted: what is to last longer lasts for ever. */
const longestDays = 24;

/** A time in milliseconds, of text or a number of seconds: see {@link parseDuration}. */
export const duration: Field<number> = {
  schema: { type: ["string", "number"], examples: ["5m", "30s", 0, -1] },
  parse(name, value) {
    const ms = typeof value === "number"
      ? parseDuration(`${value}`)
      : typeof value === "string" && parseDuration(value);
    if (typeof ms === "number") return ms;
    throw wrong(name, "a time like 5m, 30s or 1h30m, a number of seconds, or -1 for ever", value);
  },
};

/** Milliseconds of a time like "5m", "1h30m" or "90", which is seconds; Infinity below zero, undefined of no time. */
export function parseDuration(value: string): number | undefined {
  const [, sign, rest] = /^(-?)([\d.a-z]+)$/.exec(value) ?? [];
  if (rest === undefined) return undefined;
  let ms = 0;
  if (/^(\d{1,15}(\.\d*)?|\.\d+)$/.test(rest)) ms = 1000 * Number(rest);
  else {
    if (!/^(\d{1,15}(\.\d+)?(ms|s|m|h|d))+$/.test(rest)) return undefined;
    for (const [, count, unit] of rest.matchAll(/([\d.]+)(ms|s|m|h|d)/g)) ms += Number(count) * milliseconds[unit];
  }
  return sign || ms > longestDays * milliseconds.d ? Infinity : ms;
}

/** One of a few names. */
export function choice<const Name extends string>(names: readonly Name[]): Field<Name> {
  return {
    schema: { type: "string", enum: names },
    parse(name, value) {
      const found = names.find((candidate) => candidate === value);
      if (found === undefined) throw wrong(name, names.join(" or "), value);
      return found;
    },
  };
}

function isWhole(value: unknown): value is number {
  return Number.isSafeInteger(value);
}

/** "Field steps is "1e9", a whole number from 1 to 150 would do". */
export function wrong(name: string, wanted: string, found: unknown): RequestError {
  return new RequestError(name, `Field ${name} is ${show(found)}, ${wanted} would do`);
}

/** A value as it stands in a sentence, cut to a readable length; of objects and of lists of them no more than that. */
export function show(value: unknown): string {
  if (value instanceof Uint8Array) return `a file of ${value.length} bytes`;
  if (Array.isArray(value)) {
    const plain = value.length > 0 && value.every((each) => typeof each !== "object");
    return plain ? cut(`[${value.slice(0, 20).map(show).join(",")}]`) : "a list";
  }
  if (typeof value === "object" && value !== null) return "an object";
  return cut(JSON.stringify(typeof value === "string" ? value.slice(0, 100) : value) ?? String(value));
}

function cut(text: string): string {
  return text.length <= 60 ? text : `${[...text].slice(0, 57).join("")}…`;
}

/** A sentence as it continues another. */
export function lowerFirst(sentence: string): string {
  return sentence.charAt(0).toLowerCase() + sentence.slice(1);
}

/** Yes or no, as text or JSON. */
export const flag: Field<boolean> = {
  schema: { type: "boolean" },
  parse(name, value) {
    if (value === true || value === 1) return true;
    if (value === false || value === 0) return false;
    if (typeof value === "string" && /^(1|true)$/i.test(value)) return true;
    if (typeof value === "string" && /^(0|false)$/i.test(value)) return false;
    throw wrong(name, "true or false", value);
  },
};

/** A field as requests have it. */
export interface RequestField<T> extends Field<T> {
  /** As it would stand in a request. */
  default: unknown;
  description: string;
}

/** A kind of field with what stands for its absence and what it does. */
export function field<T>(kind: Field<T>, value: unknown, description: string): RequestField<T> {
  return { ...kind, default: value, description };
}

/** What `find` makes of a name; the sentence of its RangeError becomes the field's. */
export function named<T>(find: (text: string) => T, name: string, value: unknown): T {
  if (typeof value !== "string") throw wrong(name, "a name", value);
  try {
    return find(value);
  } catch (error) {
    if (error instanceof RangeError) throw new RequestError(name, `Field ${name}: ${lowerFirst(error.message)}`);
    throw error;
  }
}
