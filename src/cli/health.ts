/**
 * `deno task health`: whether a server on this machine is ready, told the options that it was told. Without any they are
 * those of the container that this runs in: the variables of both, and the flags of its first process.
 */
import { get } from "node:http";
import { parseOptions, type ServerOptions, variables } from "../server/options.ts";

/** The server's flags in a process's command line as Linux keeps it, each word with a zero behind it; none where it is no server's. */
export function flagsIn(commandLine: string): string[] {
  const words = commandLine.split("\0").slice(0, -1);
  const task = words.findIndex((word) => word === "serve" || /(^|\/)main\.ts$/.test(word));
  return task < 0 ? [] : words.slice(task + 1);
}

/** Where the server that was told so answers whether it is ready. */
export function readinessOf({ host, port }: Pick<ServerOptions, "host" | "port">): URL {
  const here: Readonly<Record<string, string>> = { "0.0.0.0": "127.0.0.1", "::": "::1" };
  const name = here[host] ?? host;
  return new URL(`http://${name.includes(":") ? `[${name}]` : name}:${port}/health/ready`);
}

/** What the first process of this container was started with. */
function firstCommandLine(): string {
  return Deno.build.os === "linux" ? Deno.readTextFileSync("/proc/1/cmdline") : "";
}

/** The status of a page, asked of its server whatever proxies the environment names; 0 where nobody answers. */
function statusOf(url: URL): Promise<number> {
  return new Promise((resolve) => {
    get(url, { timeout: 4000, agent: false }, (response) => resolve(response.resume().statusCode ?? 0))
      .on("timeout", () => resolve(0))
      .on("error", () => resolve(0));
  });
}

if (import.meta.main) {
  const env = Object.fromEntries(variables.map((name) => [name, Deno.env.get(name)]));
  const options = parseOptions(Deno.args.length > 0 ? Deno.args : flagsIn(firstCommandLine()), env);
  Deno.exit(options && await statusOf(readinessOf(options)) === 200 ? 0 : 1);
}
