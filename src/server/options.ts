/** What the server is told on the command line and in its environment. */
import { defaultModel } from "../engine/locate.ts";
import { parseDuration } from "../engine/fields.ts";
import { version } from "../engine/version.ts";
import { callersModel, callersPath, parseFlags, UsageError } from "../std/command_line.ts";

export interface ServerOptions {
  host: string;
  port: number;
  model: string;
  /** A VAE to take instead of the model's own: a file or a folder. */
  vae?: string;
  /** Index or part of the name of the adapter; the most capable one where absent. */
  gpu?: string;
  /** Jobs held at once, the running one included. */
  queue: number;
  /** Further folder in which models are looked up by name. */
  modelsDir?: string;
  /** Folder of textual inversions. */
  embeddingsDir?: string;
  /** Bytes of device memory that may be used at once; chosen from the adapter and the machine where absent. */
  memoryBudget?: number;
  /** Milliseconds without a job after which device memory is given back; Infinity where it is kept. */
  keepAlive: number;
  /** Whether a software adapter will not do. */
  requireGpu: boolean;
  /** Keys that clients must have; none is asked for where it is empty. */
  apiKeys: string[];
  /** Jobs that each key may hand in a minute. */
  rateLimit?: number;
  /** Origins whose pages may read the answers. */
  corsOrigins: string[];
  /** Whether `/metrics` is open where keys are asked for. */
  openMetrics: boolean;
}

export { UsageError } from "../std/command_line.ts";

/** What `--help` prints. */
export const help = `Serves Stable Diffusion over HTTP. Version ${version}.

Usage: deno task serve [options]

  --host ADDRESS      address to listen on        HOST    127.0.0.1
  --port NUMBER       port to listen on           PORT    8000
  --model NAME|PATH   model to load               MODEL   ${defaultModel}
  --vae PATH          VAE instead of the model's  VAE     the model's own
  --gpu INDEX|NAME    adapter to use              GPU     the most capable
  --queue NUMBER      jobs held at once           QUEUE   64
  --memory-budget BYTES  device memory to use     MEMORY_BUDGET  by adapter
  --keep-alive TIME   keeps it without a job for  KEEP_ALIVE  5m
  --help              this text

Each option is also the environment variable beside it; the last column is the default.
BYTES may end in KiB, MiB, GiB, KB, MB or GB; on a software adapter half of the machine's memory is the default, else 6GiB.
TIME is like 30s, 5m or 1h; 0 gives device memory back after each job, -1 never.
MODELS_DIR is a further folder to look a model's NAME up in; EMBEDDINGS_DIR one of textual inversions, beside the folder
embeddings beside the models; REQUIRE_GPU=1 refuses to serve on a software adapter.
API_KEYS are the keys that clients must have, with commas between them; RATE_LIMIT is how many jobs each may hand in a minute,
and OPEN_METRICS=1 leaves /metrics open. CORS_ORIGINS are the origins whose pages may read the answers; * stands for all.`;

/**
 * The options, command line before environment before defaults; undefined where help is wanted.
 *
 * @throws UsageError
 */
export function parseOptions(args: string[], env: Record<string, string | undefined>): ServerOptions | undefined {
  const given = readFlags(args);
  if (given.help) return undefined;
  const text = (flag: keyof typeof given & keyof typeof flags) =>
    given[flag] ?? (env[flag.toUpperCase().replaceAll("-", "_")] || undefined);
  const whole = (flag: "port" | "queue", absent: number, [min, max]: [number, number]) => {
    const value = text(flag) ?? `${absent}`;
    if (/^\d{1,9}$/.test(value) && Number(value) >= min && Number(value) <= max) return Number(value);
    const name = given[flag] === undefined ? flag.toUpperCase() : `--${flag}`;
    throw new UsageError(`Cannot use ${name} ${JSON.stringify(value)}, a whole number from ${min} to ${max} would do`);
  };
  const other = <T>(flag: "memory-budget" | "keep-alive", parse: (text: string) => T | undefined, would: string) => {
    const value = text(flag);
    if (value === undefined) return undefined;
    const parsed = parse(value);
    if (parsed !== undefined) return parsed;
    const name = given[flag] === undefined ? flag.toUpperCase().replaceAll("-", "_") : `--${flag}`;
    throw new UsageError(`Cannot use ${name} ${JSON.stringify(value)}, ${would} would do`);
  };
  const vae = text("vae"), apiKeys = listOf(env.API_KEYS), rateLimit = env.RATE_LIMIT || undefined;
  if (rateLimit !== undefined && !/^[1-9]\d{0,6}$/.test(rateLimit)) {
    throw new UsageError(`Cannot use RATE_LIMIT ${JSON.stringify(rateLimit)}, a whole number from 1 would do`);
  }
  if (rateLimit !== undefined && apiKeys.length === 0) {
    throw new UsageError("Cannot use RATE_LIMIT without API_KEYS, which it is for, keys would do");
  }
  const corsOrigins = listOf(env.CORS_ORIGINS);
  const wrong = corsOrigins.find((origin) => origin !== "*" && URL.parse(origin)?.origin !== origin);
  if (wrong !== undefined) {
    throw new UsageError(
      `Cannot use CORS_ORIGINS ${JSON.stringify(wrong)}, an origin like https://example.com would do`,
    );
  }
  return {
    host: text("host") ?? "127.0.0.1",
    port: whole("port", 8000, [0, 65535]),
    model: callersModel(text("model") ?? defaultModel),
    vae: vae && callersPath(vae),
    gpu: text("gpu"),
    queue: whole("queue", 64, [1, 100_000]),
    modelsDir: env.MODELS_DIR ? callersPath(env.MODELS_DIR) : undefined,
    embeddingsDir: env.EMBEDDINGS_DIR ? callersPath(env.EMBEDDINGS_DIR) : undefined,
    memoryBudget: other("memory-budget", parseBytes, "a size like 2GiB or 900MB"),
    keepAlive: other("keep-alive", parseDuration, "a time like 5m, 30s, 0 or -1 for ever") ?? 300_000,
    requireGpu: env.REQUIRE_GPU === "1",
    apiKeys,
    rateLimit: rateLimit === undefined ? undefined : Number(rateLimit),
    corsOrigins,
    openMetrics: env.OPEN_METRICS === "1",
  };
}

/** Texts with commas between them. */
function listOf(text = ""): string[] {
  return text.split(",").map((each) => each.trim()).filter((each) => each !== "");
}

const flag = { type: "string" } as const;
const flags = {
  host: flag,
  port: flag,
  model: flag,
  vae: flag,
  gpu: flag,
  queue: flag,
  "memory-budget": flag,
  "keep-alive": flag,
};

function readFlags(args: string[]) {
  return parseFlags({ args, options: { ...flags, help: { type: "boolean", short: "h" } } }).values;
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
