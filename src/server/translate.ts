/**
 * From another surface's words to the native fields, and back: a translator hands over fields under the names that its
 * clients know, and errors come back in those names.
 */
import type { EngineInfo } from "../engine/protocol.ts";
import { show } from "../engine/fields.ts";
import { ConflictError, type ParsedRequest, parseRequest, RequestError } from "../engine/request.ts";
import type { Fetching } from "./remote.ts";
import { infoOf, type Surface } from "./surface.ts";

/** A request in the native fields, on the way to being parsed. */
export class Translation {
  /** Native fields by their names. */
  readonly fields: Map<string, unknown> = new Map();
  /** What the client calls a native field, where that is something else. */
  readonly #names = new Map<string, string>();
  /** Native fields that are left out where the engine does not know them. */
  readonly #optional = new Set<string>();
  /** Fields of the client's that mean nothing here. */
  readonly ignored: string[] = [];

  /** Sets a native field, unless there is no value; `name` is what the client calls it. */
  set(field: string, value: unknown, name: string = field): void {
    if (value === undefined || value === null) return;
    this.fields.set(field, value);
    if (name !== field) this.#names.set(field, name);
  }

  /** Sets a native field that may as well be left out. */
  prefer(field: string, value: unknown, name: string = field): void {
    this.set(field, value, name);
    this.#optional.add(field);
  }

  /** What the engine says of the request's model. @throws RequestError in the client's names; Refusal or EngineError */
  info(surface: Pick<Surface, "engine" | "models" | "whyNoModel">): Promise<EngineInfo> {
    return this.#inTheirNames(() => infoOf(surface, this.fields));
  }

  /**
   * The request. What the client asks for and this engine does not know is refused rather than passed over.
   *
   * @throws RequestError in the client's names; Refusal
   */
  parse({ remote }: Pick<Surface, "remote">, info: EngineInfo, fetching: Fetching): Promise<ParsedRequest> {
    return this.#inTheirNames(async () => {
      await remote?.fill(this.fields, fetching);
      const parsed = parseRequest(this.fields, info);
      const unknown = parsed.ignored.find((name) => !this.#optional.has(name));
      if (unknown !== undefined) {
        throw new RequestError(
          unknown,
          `Field ${unknown} asks for what this server cannot do yet, a request without would do`,
        );
      }
      return { ...parsed, ignored: this.ignored };
    });
  }

  async #inTheirNames<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      throw error instanceof RequestError ? this.#renamed(error) : error;
    }
  }

  /** An error as the client would call it. */
  #renamed(error: RequestError): RequestError {
    const name = this.#names.get(error.field);
    if (name === undefined) return error;
    const message = error.message.replace(`Field ${error.field} `, `Field ${name} `)
      .replace(`Field ${error.field}:`, `Field ${name}:`);
    return error instanceof ConflictError ? new ConflictError(name, message) : new RequestError(name, message);
  }
}

/** Values of a body, each checked for its type when it is read; what is never read is ignored. */
export class Wire {
  readonly #fields: ReadonlyMap<string, unknown>;
  readonly #read = new Set<string>();
  /** Where the fields are, for errors: "parameters." in front of their names. */
  readonly #prefix: string;

  constructor(fields: ReadonlyMap<string, unknown>, prefix = "") {
    this.#fields = fields;
    this.#prefix = prefix;
  }

  /** The value of a field, null and absent being the same. */
  any(name: string): unknown {
    this.#read.add(name);
    return this.#fields.get(name) ?? undefined;
  }

  text(name: string): string | undefined {
    return this.#typed(name, "text", (value): value is string => typeof value === "string");
  }

  /** A number, also where it comes as text. */
  number(name: string): number | undefined {
    const value = this.any(name);
    if (typeof value === "string" && /^-?\d+(\.\d+)?$/.test(value)) return Number(value);
    return this.#typed(name, "a number", (value): value is number => typeof value === "number");
  }

  /** Yes or no; also as text or as 0 and 1. */
  flag(name: string): boolean | undefined {
    const value = this.any(name);
    if (value === 1 || value === "1" || value === "true" || value === "True") return true;
    if (value === 0 || value === "0" || value === "false" || value === "False") return false;
    return this.#typed(name, "true or false", (value): value is boolean => typeof value === "boolean");
  }

  list(name: string): unknown[] | undefined {
    return this.#typed(name, "a list", (value): value is unknown[] => Array.isArray(value));
  }

  /** An object as fields of its own; an empty one where it is absent. */
  object(name: string): Wire {
    const isObject = (value: unknown): value is object =>
      typeof value === "object" && !Array.isArray(value) && !(value instanceof Uint8Array);
    return new Wire(new Map(Object.entries(this.#typed(name, "an object", isObject) ?? {})), `${name}.`);
  }

  /** Marks fields as understood, though they change nothing. */
  pass(...names: string[]): void {
    for (const name of names) this.#read.add(name);
  }

  /** Names of the fields that nobody has read. */
  get ignored(): string[] {
    return [...this.#fields.keys()].filter((name) => !this.#read.has(name)).map((name) => this.#prefix + name);
  }

  get size(): number {
    return this.#fields.size;
  }

  #typed<T>(name: string, wanted: string, is: (value: unknown) => value is T): T | undefined {
    const value = this.any(name);
    if (value === undefined || is(value)) return value;
    throw wrongType(this.#prefix + name, wanted, value);
  }
}

function wrongType(name: string, wanted: string, value: unknown): RequestError {
  return new RequestError(name, `Field ${name} is ${show(value)}, ${wanted} would do`);
}
