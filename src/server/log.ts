/** The log: a line for everything that whoever runs the server should know, for people or as JSON. */

export const logFormats = ["text", "json"] as const;
export type LogFormat = typeof logFormats[number];

/** From the least to the most urgent. */
export const logLevels = ["debug", "info", "warn", "error"] as const;
export type LogLevel = typeof logLevels[number];

/** What a line tells beside its message; what is undefined is left out. */
export type Facts = Readonly<Record<string, string | number | boolean | undefined>>;

export interface LogOptions {
  format?: LogFormat;
  /** The least that is logged. */
  level?: LogLevel;
  /** Takes a line; the console's own functions, so that OpenTelemetry sees them as logs of that level. */
  write?: (level: LogLevel, line: string) => void;
  now?: () => Date;
}

/** Writes what is at least as urgent as the level asked for. */
export class Log {
  readonly #options: Required<LogOptions>;

  constructor({ format = "text", level = "info", write = toConsole, now = () => new Date() }: LogOptions = {}) {
    this.#options = { format, level, write, now };
  }

  /** Whether programmes read it, not people. */
  get isJson(): boolean {
    return this.#options.format === "json";
  }

  debug(message: string, facts?: Facts): void {
    this.write("debug", message, facts);
  }

  info(message: string, facts?: Facts): void {
    this.write("info", message, facts);
  }

  warn(message: string, facts?: Facts): void {
    this.write("warn", message, facts);
  }

  error(message: string, facts?: Facts): void {
    this.write("error", message, facts);
  }

  write(level: LogLevel, message: string, facts: Facts = {}): void {
    const { format, level: least, write, now } = this.#options;
    if (logLevels.indexOf(level) < logLevels.indexOf(least)) return;
    const time = now().toISOString();
    write(
      level,
      format === "json" ? JSON.stringify({ time, level, message, ...facts }) : textOf(time, level, message, facts),
    );
  }
}

/** `2026-01-02T03:04:05.678Z WARN Message name=value`: what could be mistaken is written as JSON has it. */
function textOf(time: string, level: LogLevel, message: string, facts: Facts): string {
  const told = Object.entries(facts).filter(([, value]) => value !== undefined).map(([name, value]) => {
    return `${name}=${plain.test(`${value}`) ? value : JSON.stringify(value)}`;
  });
  return [time, level.toUpperCase(), message, ...told].join(" ");
}

/** ASCII without spaces, quotes and equals signs. */
const plain = /^[!#-<>-~]+$/;

function toConsole(level: LogLevel, line: string): void {
  console[level](line);
}
