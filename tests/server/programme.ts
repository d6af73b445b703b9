/** The programme in a process of its own, as tests start it and speak to it. */
import assert from "node:assert/strict";

/** The project's folder. */
export const root: URL = new URL("../../", import.meta.url);
const { tasks } = JSON.parse(Deno.readTextFileSync(new URL("deno.json", root))) as { tasks: Record<string, string> };

/** The flags that a task of the project's gives Deno for a module: tests start it with those very permissions. */
export function flagsFor(module: string): string[] {
  const task = Object.values(tasks).find((command) => command.endsWith(` ${module}`)) ?? assert.fail(module);
  return task.split(" ").slice(2, -1);
}

/** A process of this project's, with what it writes collected as it comes. */
export class Programme implements AsyncDisposable {
  readonly process: Deno.ChildProcess;
  out = "";
  errors = "";
  readonly #ended: Promise<unknown>;

  /** A module and its arguments; `flags` are further ones for Deno. */
  constructor(args: readonly string[], flags: readonly string[] = []) {
    const command = new Deno.Command(Deno.execPath(), {
      args: ["run", "--quiet", "--no-check", ...flags, ...flagsFor(args[0]), ...args],
      cwd: root,
      stdout: "piped",
      stderr: "piped",
    });
    this.process = command.spawn();
    const collect = async (stream: ReadableStream<Uint8Array>, take: (text: string) => void) => {
      for await (const text of stream.pipeThrough(new TextDecoderStream() as never) as ReadableStream<string>) {
        take(text);
      }
    };
    this.#ended = Promise.all([
      collect(this.process.stdout, (text) => this.out += text),
      collect(this.process.stderr, (text) => this.errors += text),
    ]);
  }

  /** Resolves with the exit code once all output is in. */
  async exit(): Promise<number> {
    const { code } = await this.process.status;
    await this.#ended;
    return code;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.process.kill("SIGKILL");
    } catch { /* it has ended */ }
    await this.exit();
  }
}

/** A server that is ready. */
export class Server extends Programme {
  url = "";

  static start(...args: string[]): Promise<Server> {
    return Server.startWith([], ...args);
  }

  /** With further flags for Deno. */
  static async startWith(flags: readonly string[], ...args: string[]): Promise<Server> {
    const server = new Server(["main.ts", "--port", "0", ...args], flags);
    for (let waited = 0; server.url === ""; waited += 20) {
      assert.ok(waited < 60_000, `not ready after a minute: ${server.out}${server.errors}`);
      await sleep(20);
      server.url = /http:\/\/[^,\s"]+/.exec(server.out)?.[0] ?? "";
    }
    return server;
  }

  get(query: string, init?: RequestInit): Promise<Response> {
    return fetch(`${this.url}/generate?${query}`, init);
  }

  async queueLength(): Promise<number> {
    return (await (await fetch(`${this.url}/health/ready`)).json()).queue.length;
  }
}

export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Waits for something to become true. */
export async function until(holds: () => Promise<boolean>): Promise<number> {
  const began = performance.now();
  while (!await holds()) {
    assert.ok(performance.now() - began < 30_000, "it has not become true in half a minute");
    await sleep(5);
  }
  return performance.now() - began;
}

/** Bytes of memory that a process holds. */
export async function residentBytes(pid: number): Promise<number> {
  const status = await Deno.readTextFile(`/proc/${pid}/status`);
  return Number(/VmRSS:\s*(\d+) kB/.exec(status)![1]) * 1024;
}
