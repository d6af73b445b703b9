/** Reading the config.json beside a component's weights: each field is checked as it is read, once. */

/** A configuration that is malformed, or asks for what is not built here; names the component and the field. */
export class ConfigError extends Error {
  override name = "ConfigError";
}

/** Typed access to the fields of one config.json. */
export class ConfigReader {
  readonly #fields: Record<string, unknown>;

  constructor(config: unknown, readonly component: string) {
    if (typeof config !== "object" || config === null) {
      throw new ConfigError(`${component}: config.json holds no object`);
    }
    this.#fields = config as Record<string, unknown>;
  }

  /** A positive integer, at most 10⁶. */
  integer(name: string, fallback?: number): number {
    const value = this.#fields[name] ?? fallback;
    if (Number.isInteger(value) && (value as number) > 0 && (value as number) <= 1e6) return value as number;
    throw this.#wrong(name, "a positive whole number");
  }

  number(name: string, fallback: number): number {
    const value = this.#fields[name] ?? fallback;
    if (typeof value === "number" && Number.isFinite(value)) return value;
    throw this.#wrong(name, "a number");
  }

  boolean(name: string, fallback: boolean): boolean {
    const value = this.#fields[name] ?? fallback;
    if (typeof value === "boolean") return value;
    throw this.#wrong(name, "true or false");
  }

  /** One of the listed words. */
  choice<const T extends string>(name: string, choices: readonly T[], fallback?: T): T {
    const value = this.#fields[name] ?? fallback;
    if (choices.includes(value as T)) return value as T;
    throw this.#wrong(name, `one of ${choices.join(", ")}`);
  }

  integers(name: string): number[] {
    const value = this.#fields[name];
    if (Array.isArray(value) && value.length > 0 && value.every((item) => Number.isInteger(item) && item > 0)) {
      return value;
    }
    throw this.#wrong(name, "a list of positive whole numbers");
  }

  /** A list of `length`, or one number that stands for each. */
  integerOrList(name: string, length: number, fallback?: number): number[] {
    const value = this.#fields[name] ?? fallback;
    if (!Array.isArray(value)) return Array(length).fill(this.integer(name, fallback));
    if (value.length !== length) throw this.#wrong(name, `a list of ${length}`);
    return this.integers(name);
  }

  choices<const T extends string>(name: string, choices: readonly T[]): T[] {
    const value = this.#fields[name];
    if (Array.isArray(value) && value.every((item) => choices.includes(item))) return value;
    throw this.#wrong(name, `a list of ${choices.join(", ")}`);
  }

  has(name: string): boolean {
    return this.#fields[name] !== undefined && this.#fields[name] !== null;
  }

  /** Refuses values that would change the arithmetic in ways that are not built. */
  only(expected: Record<string, unknown>): void {
    for (const [name, value] of Object.entries(expected)) {
      const found = this.#fields[name] ?? value;
      if (found !== value) throw this.#wrong(name, JSON.stringify(value));
    }
  }

  #wrong(name: string, expected: string): ConfigError {
    const found = JSON.stringify(this.#fields[name])?.slice(0, 80) ?? "nothing";
    return new ConfigError(`${this.component}/config.json: ${name} is ${found}, and must be ${expected}`);
  }
}
