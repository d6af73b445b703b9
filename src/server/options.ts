/** What the server is told on the command line and in its environment: one table, which `--help` and the README list. */
import { defaultModel } from "../engine/locate.ts";
import { version } from "../engine/version.ts";
import { callersModel, callersPath, parseFlags, UsageError } from "../std/command_line.ts";
import { logFormats, logLevels } from "./log.ts";
import { address, bytes, list, oneOf, type Setting, text, time, whole, yes } from "./settings.ts";

export { UsageError } from "../std/command_line.ts";

/** Every setting: `memoryBudget` is the flag `--memory-budget` and the variable `MEMORY_BUDGET`. */
export const settings = {
  host: text({
    value: "ADDRESS",
    help: "the address to listen on; `0.0.0.0` for all",
    absent: "127.0.0.1",
    shown: "127.0.0.1",
  }),
  port: whole({ value: "NUMBER", help: "the port to listen on", absent: 8000, shown: "8000", min: 0, max: 65535 }),
  publicUrl: address({
    value: "URL",
    help: "the address at which clients reach it, for the addresses in answers: needed behind a proxy that speaks TLS",
    shown: "the request's own",
  }),
  model: text({
    value: "NAME|PATH",
    help: "a model in `weights/` or `MODELS_DIR` by name, or any by its path: a folder or a single file",
    absent: defaultModel,
    shown: defaultModel,
  }),
  vae: text({
    value: "PATH",
    help: "a VAE to take instead: a file or a folder",
    absent: undefined,
    shown: "the model's own",
  }),
  gpu: text({
    value: "INDEX|NAME",
    help: "an adapter's index or a part of its name",
    absent: undefined,
    shown: "the most capable",
  }),
  requireGpu: yes({ help: "refuses to serve on a software adapter" }),
  precision: oneOf(["auto", "f16", "f32"], {
    value: "TYPE",
    help:
      "how numbers are stored: `f16`, `f32`, or `auto`: `f16` where the adapter has it, but for small models on a " +
      "software adapter, which gain nothing by it",
    absent: "auto",
  }),
  memoryBudget: bytes({
    value: "BYTES",
    help: "device memory to use at once, like `2.5GiB` or `900MB`; half of the machine's (or container's) on a " +
      "software adapter, else `6GiB`",
    shown: "by adapter",
  }),
  keepAlive: time({
    value: "TIME",
    help: "how long without a job device memory is kept; `0` gives it back after each, `-1` never",
    absent: 300_000,
    shown: "5m",
  }),
  gpuTimeout: time({
    value: "TIME",
    help:
      "how long a GPU may say nothing in a job, or ten of its slowest steps where that is longer, before it counts as " +
      "hung and is opened anew; `-1` for ever",
    absent: 120_000,
    shown: "2m",
    seconds: 1,
  }),
  queue: whole({
    value: "NUMBER",
    help: "jobs held at once, the running ones included",
    absent: 64,
    shown: "64",
    min: 1,
    max: 100_000,
  }),
  batch: whole({
    value: "NUMBER",
    help:
      "jobs that may share the batches of one run, in twos, fours and so on: where their steps have shown that all " +
      "that wait are done the sooner for it; `1` runs each alone",
    absent: 8,
    shown: "8",
    min: 1,
    max: 16,
  }),
  drainTimeout: time({
    value: "TIME",
    help: "how long after SIGTERM accepted jobs may take before they are cancelled; `-1` for ever",
    absent: 600_000,
    shown: "10m",
  }),
  modelsDir: text({
    value: "PATH",
    help: "a further folder in which models are looked up by name",
    absent: undefined,
    shown: "none",
  }),
  embeddingsDir: text({
    value: "PATH",
    help: "a further folder of textual inversions, beside `embeddings` in the folders of models",
    absent: undefined,
    shown: "none",
  }),
  apiKeys: list({
    value: "KEYS",
    help: "keys with commas between them, sent as `Authorization: Bearer KEY` or as the password of Basic",
    shown: "none asked for",
    secret: true,
    would: "keys with commas between them",
  }),
  rateLimit: whole({
    value: "NUMBER",
    help: "jobs that each key may hand in a minute",
    absent: undefined,
    shown: "none",
    min: 1,
    max: 9_999_999,
  }),
  corsOrigins: list({
    value: "ORIGINS",
    help: "origins whose pages may read the answers, with commas between them; `*` for all",
    shown: "none",
    accepts: (origin) => origin === "*" || URL.parse(origin)?.origin === origin,
    would: "an origin like https://example.com",
  }),
  allowImageUrls: yes({
    help: "fetches pictures that requests name by their address: public ones, on the usual ports",
  }),
  openMetrics: yes({ help: "leaves `/metrics` open where keys are asked for; `/health` always is" }),
  logFormat: oneOf(logFormats, { value: "FORMAT", help: "lines of the log: `text` or `json`", absent: "text" }),
  logLevel: oneOf(logLevels, {
    value: "LEVEL",
    help: "the least that is logged: `debug`, which health checks are, `info`, `warn` or `error`",
    absent: "info",
  }),
  logPrompts: yes({ help: "has the log tell what prompts say" }),
} as const;

type Settings = typeof settings;

export type ServerOptions = {
  -readonly [Name in keyof Settings]: Settings[Name] extends Setting<infer T> ? T : never;
};

const names = Object.keys(settings) as (keyof Settings)[];

/** `memory-budget` of `memoryBudget`. */
function flagOf(name: keyof Settings): string {
  return name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

/** `MEMORY_BUDGET` of `memoryBudget`. */
function variableOf(name: keyof Settings): string {
  return flagOf(name).toUpperCase().replaceAll("-", "_");
}

/** The variables that are read. */
export const variables: readonly string[] = names.map(variableOf);

/** What `--help` prints. */
export const help = `Serves Stable Diffusion over HTTP. Version ${version}.

Usage: deno task serve [options]

${names.filter((name) => !settings[name].secret).map(lineOf).join("\n")}
  --help                      this text

Each is a variable of the environment as well, --memory-budget as MEMORY_BUDGET; the flag comes first. Only a variable:

${names.filter((name) => settings[name].secret).map(lineOf).join("\n")}

TIME is like 30s, 5m or 1h; BYTES may end in KiB, MiB, GiB, KB, MB or GB.`;

function lineOf(name: keyof Settings): string {
  const { value = "", help, shown, secret }: Setting<unknown> = settings[name];
  const told = secret ? `${variableOf(name)}=${value}` : `--${flagOf(name)} ${value}`;
  const said = `${help.replaceAll("`", "")}${shown === undefined ? "" : ` [${shown}]`}`;
  return `  ${told.padEnd(27)} ${linesOf(said, 70).join(`\n${" ".repeat(30)}`)}`;
}

/** A text in lines of at most so many characters, broken between words. */
function linesOf(text: string, most: number): string[] {
  const lines: string[] = [];
  for (const word of text.split(" ")) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + 1 + word.length <= most) lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(word);
  }
  return lines;
}

/**
 * The options, command line before environment before defaults; undefined where help is wanted.
 *
 * @throws UsageError
 */
export function parseOptions(args: string[], env: Record<string, string | undefined>): ServerOptions | undefined {
  const flags = Object.fromEntries(
    names.filter((name) => !settings[name].secret).map((name) => {
      return [flagOf(name), { type: settings[name].value === undefined ? "boolean" : "string" } as const];
    }),
  );
  const { values } = parseFlags({ args, options: { ...flags, help: { type: "boolean", short: "h" } } });
  if (values.help) return undefined;
  const given = values as Record<string, string | boolean | undefined>;
  const options = Object.fromEntries(names.map((name) => {
    const { absent, parse, would }: Setting<unknown> = settings[name];
    const flag = given[flagOf(name)], variable = variableOf(name);
    const value = flag === undefined ? env[variable] || undefined : flag === true ? "1" : `${flag}`;
    if (value === undefined) return [name, absent];
    const parsed = parse(value);
    if (parsed !== undefined) return [name, parsed];
    const teller = flag === undefined ? variable : `--${flagOf(name)}`;
    throw new UsageError(`Cannot use ${teller} ${JSON.stringify(value)}, ${would} would do`);
  })) as ServerOptions;
  if (options.rateLimit !== undefined && options.apiKeys.length === 0) {
    throw new UsageError("Cannot use RATE_LIMIT without API_KEYS, which it is for, keys would do");
  }
  const { model, vae, modelsDir, embeddingsDir } = options;
  return {
    ...options,
    model: callersModel(model),
    vae: vae && callersPath(vae),
    modelsDir: modelsDir && callersPath(modelsDir),
    embeddingsDir: embeddingsDir && callersPath(embeddingsDir),
  };
}
