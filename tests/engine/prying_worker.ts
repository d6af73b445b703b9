/// <reference lib="deno.worker" />
/** A Worker in the engine's place that tries what the engine never needs, and says which of it worked. */
import type { FromWorker, ToWorker } from "../../src/engine/protocol.ts";

const attempts: Record<string, () => unknown> = {
  "read a file": () => Deno.readTextFileSync(new URL(import.meta.url)),
  "see the environment": () => Deno.env.get("PATH"),
  "change the environment": () => Deno.env.set("LD_PRELOAD", "x"),
  "write a file": () => Deno.writeTextFileSync("/dev/null", ""),
  "start a programme": () => new Deno.Command("true").outputSync(),
  "connect": () => Deno.connect({ hostname: "127.0.0.1", port: 9 }),
  "listen": () => Deno.listen({ hostname: "127.0.0.1", port: 0 }).close(),
  "fetch": () => fetch("http://127.0.0.1:9009/"),
  "resolve a name": () => Deno.resolveDns("localhost", "A"),
  "ask for the machine's name": () => Deno.hostname(),
  "import from elsewhere": () => import(`${"http"}://127.0.0.1:9009/x.ts`),
};

self.onmessage = async ({ data }: MessageEvent<ToWorker>) => {
  if (data.type !== "start") return;
  const allowed: string[] = [];
  for (const [what, attempt] of Object.entries(attempts)) {
    try {
      await attempt();
      allowed.push(what);
    } catch (error) {
      // What is not there is reached all the same.
      if (!(error instanceof Deno.errors.NotCapable) && !/Requires .* access/.test(`${error}`)) allowed.push(what);
    }
  }
  const message: FromWorker = { type: "unready", error: { code: "internal", message: allowed.join(", ") } };
  self.postMessage(message);
};
