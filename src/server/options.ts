/** What the server is told on the command line and in its environment. */
import { defaultModel } from "../engine/locate.ts";
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
  /** Whether a software adapter will not do. */
  requireGpu: boolean;
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
  --help              this text

Each option is also the environment variable beside it; the last column is the default.
MODELS_DIR is a further folder to look a model's NAME up in; REQUIRE_GPU=1 refuses to serve on a software adapter.`;

/**
 * The options, command line before environment before defaults; undefined where help is wanted.
 *
 * @throws UsageError
 */
export function parseOptions(args: string[], env: Record<string, string | undefined>): ServerOptions | undefined {
  const given = readFlags(args);
  if (given.help) return undefined;
  const text = (flag: "host" | "port" | "model" | "vae" | "gpu" | "queue") =>
    given[flag] ?? (env[flag.toUpperCase()] || undefined);
  const whole = (flag: "port" | "queue", absent: number, [min, max]: [number, number]) => {
    const value = text(flag) ?? `${absent}`;
    if (/^\d{1,9}$/.test(value) && Number(value) >= min && Number(value) <= max) return Number(value);
    const name = given[flag] === undefined ? flag.toUpperCase() : `--${flag}`;
    throw new UsageError(`Cannot use ${name} ${JSON.stringify(value)}, a whole number from ${min} to ${max} would do`);
  };
  const vae = text("vae");
  return {
    host: text("host") ?? "127.0.0.1",
    port: whole("port", 8000, [0, 65535]),
    model: callersModel(text("model") ?? defaultModel),
    vae: vae && callersPath(vae),
    gpu: text("gpu"),
    queue: whole("queue", 64, [1, 100_000]),
    modelsDir: env.MODELS_DIR ? callersPath(env.MODELS_DIR) : undefined,
    requireGpu: env.REQUIRE_GPU === "1",
  };
}

function readFlags(args: string[]) {
  const flag = { type: "string" } as const;
  const options = {
    host: flag,
    port: flag,
    model: flag,
    vae: flag,
    gpu: flag,
    queue: flag,
    help: { type: "boolean", short: "h" },
  } as const;
  return parseFlags({ args, options }).values;
}
