/** What every command shares: flags and their mistakes, and paths as whoever typed them means them. */
import { resolve } from "node:path";
import { parseArgs, type ParseArgsConfig } from "node:util";
import { nearestFirst } from "./nearest.ts";

/** A command line or environment that makes no sense, as one sentence. */
export class UsageError extends Error {
  override name = "UsageError";
}

/**
 * `parseArgs()` of Node.
 *
 * @throws UsageError where that throws; an unknown option is answered with the one most like it
 */
export function parseFlags<const Config extends ParseArgsConfig>(config: Config): ReturnType<typeof parseArgs<Config>> {
  try {
    return parseArgs(config);
  } catch (error) {
    const reason = error instanceof Error ? error.message : `${error}`;
    const flag = /^Option '(?:-\w, )?(--?[\w-]+).*' argument is ambiguous/.exec(reason)?.[1];
    if (flag) {
      const { args = [] } = config, value = args[args.indexOf(flag) + 1];
      const sample = flag.startsWith("--") ? `${flag}=${value}` : `${flag}${value}`;
      throw new UsageError(`Cannot start: ${flag} is followed by a dash, ${sample} would do`);
    }
    const unknown = /^Unknown option '--([^']+)'/.exec(reason)?.[1];
    if (unknown !== undefined) {
      const [nearest] = nearestFirst(unknown, Object.keys(config.options ?? {}));
      throw new UsageError(`Cannot start: there is no option --${unknown}, --${nearest} would do; --help lists all`);
    }
    throw new UsageError(`Cannot start: ${reason.split(/\. |\n/)[0]}, --help lists what would do`);
  }
}

/** An absolute path. `deno task` runs in the project's folder, and says in INIT_CWD where it was called. */
export function callersPath(path: string): string {
  return resolve(Deno.env.get("INIT_CWD") || ".", path);
}

/** A model as a caller names it: a path becomes absolute, a name stays one. */
export function callersModel(model: string): string {
  const path = callersPath(model);
  return model !== "" && (/[/\\]/.test(model) || exists(path)) ? path : model;
}

function exists(path: string): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch {
    return false;
  }
}
