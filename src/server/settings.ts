/** The kinds of things that the server can be told, each as text with what would do instead. */
import { parseDuration } from "../engine/fields.ts";

/** One thing that can be told: as a flag, or as an environment variable. */
export interface Setting<T> {
  /** What stands for its value in the list of flags; absent where the flag alone says yes. */
  value?: string;
  /** What it is, and what else there is to know. */
  help: string;
  /** Where nothing is told, and how that is written. */
  absent: T;
  shown?: string;
  /** Whether only the environment may tell it: every user of a machine sees the command lines of others. */
  secret?: boolean;
  /** What the text says; undefined where it says nothing that would do. */
  parse(text: string): T | undefined;
  /** What would. */
  would: string;
}

/** What is told about every setting beside its kind. */
type Told = Pick<Setting<unknown>, "help" | "shown"> & { value: string };

/** Any text. */
export function text<T>({ absent, ...told }: Told & { absent: T }): Setting<string | T> {
  return { ...told, absent, parse: (text) => text, would: "any text" };
}

/** An address of http or https, perhaps with a path, without the slash at its end. */
export function address({ ...told }: Told): Setting<string | undefined> {
  const parse = (text: string) => {
    const url = URL.parse(text), plain = url && !url.username && !url.password && !url.search && !url.hash;
    return plain && /^https?:$/.test(url.protocol) ? url.href.replace(/\/+$/, "") : undefined;
  };
  return { ...told, absent: undefined, parse, would: "an address like https://example.com" };
}

/** A whole number from `min` to `max`. */
export function whole<T>(
  { absent, min, max, ...told }: Told & { absent: T; min: number; max: number },
): Setting<number | T> {
  return {
    ...told,
    absent,
    parse: (text) => /^\d{1,9}$/.test(text) && Number(text) >= min && Number(text) <= max ? Number(text) : undefined,
    would: `a whole number from ${min} to ${max}`,
  };
}

/** Milliseconds of a time like "5m", `seconds` at the least; Infinity below zero. */
export function time({ absent, seconds = 0, ...told }: Told & { absent: number; seconds?: number }): Setting<number> {
  const parse = (text: string) => {
    const ms = parseDuration(text);
    return ms === undefined || ms < 1000 * seconds ? undefined : ms;
  };
  const would = `a time like 5m, 30s, ${seconds === 0 ? "0" : `from ${seconds}s on,`} or -1 for ever`;
  return { ...told, absent, parse, would };
}

/** Bytes of a size like "2GiB". */
export function bytes({ ...told }: Told): Setting<number | undefined> {
  return { ...told, absent: undefined, parse: parseBytes, would: "a size like 2GiB or 900MB" };
}

/** Yes or no: the flag alone, or a variable that says 1 or 0. */
export function yes({ ...told }: Omit<Told, "value">): Setting<boolean> {
  const said: Readonly<Record<string, boolean>> = { 1: true, true: true, 0: false, false: false };
  return { ...told, absent: false, parse: (text) => said[text.toLowerCase()], would: "1 or 0" };
}

/** One of a few names. */
export function oneOf<const Name extends string>(
  names: readonly Name[],
  { absent, ...told }: Told & { absent: Name },
): Setting<Name> {
  const parse = (text: string) => names.find((name) => name === text);
  return { ...told, shown: absent, absent, parse, would: names.join(" or ") };
}

/** Texts with commas between them, all of which have to do. */
export function list(
  { accepts = () => true, would, ...told }: Told & {
    secret?: boolean;
    accepts?: (item: string) => boolean;
    would: string;
  },
): Setting<string[]> {
  const parse = (text: string) => {
    const items = text.split(",").map((each) => each.trim()).filter((each) => each !== "");
    return items.every(accepts) ? items : undefined;
  };
  return { ...told, absent: [], parse, would };
}

const units: Readonly<Record<string, number>> = {
  "": 1,
  KB: 1e3,
  MB: 1e6,
  GB: 1e9,
  TB: 1e12,
  KIB: 2 ** 10,
  MIB: 2 ** 20,
  GIB: 2 ** 30,
  TIB: 2 ** 40,
};

/** Bytes of "2.5GiB", "900MB" or a plain number; undefined of anything else. */
export function parseBytes(text: string): number | undefined {
  const [, count, unit = ""] = /^(\d{1,15}(?:\.\d+)?)\s*([KMGT]i?B)?$/i.exec(text) ?? [];
  const bytes = Math.floor(Number(count) * units[unit.toUpperCase()]);
  return bytes > 0 ? bytes : undefined;
}
