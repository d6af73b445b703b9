import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { flagsIn, readinessOf } from "../../src/cli/health.ts";
import { root } from "../files.ts";

Deno.test("the flags of a server are found in its container's first command line, whatever started it", () => {
  const flags = (...words: string[]) => flagsIn(words.map((word) => `${word}\0`).join(""));
  deepStrictEqual(flags("deno", "task", "--quiet", "serve"), []);
  deepStrictEqual(flags("deno", "task", "--quiet", "serve", "--port", "9000", "--model", "serve"), [
    ...["--port", "9000", "--model", "serve"],
  ]);
  deepStrictEqual(flags("/sbin/tini", "--", "deno", "run", "-A", "/app/main.ts", "--port=1"), ["--port=1"]);
  deepStrictEqual(flags("/bin/sh", "-c", "sleep 1"), []);
});

Deno.test("a server is asked where it listens, on this machine where that is everywhere", () => {
  const at = (host: string) => readinessOf({ host, port: 9000 }).href;
  strictEqual(at("0.0.0.0"), "http://127.0.0.1:9000/health/ready");
  strictEqual(at("::"), "http://[::1]:9000/health/ready");
  strictEqual(at("::1"), "http://[::1]:9000/health/ready");
  strictEqual(at("172.17.0.2"), "http://172.17.0.2:9000/health/ready");
});

Deno.test("health exits with 0 where the server is ready, and with 1 where it is not, or nobody is there", async () => {
  const asked: string[] = [];
  let status = 200;
  const answer = ({ url }: Request) => {
    asked.push(new URL(url).pathname);
    return new Response("{}", { status });
  };
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, answer);
  const run = async (args: string[], env: Record<string, string> = {}) => {
    const module = new URL("src/cli/health.ts", root);
    // A proxy is not for what is on this machine.
    const proxy = { HTTP_PROXY: "http://127.0.0.1:9", http_proxy: "http://127.0.0.1:9" };
    const command = { args: ["run", "--no-check", "-A", module.pathname, ...args], env: { ...proxy, ...env } };
    return (await new Deno.Command(Deno.execPath(), command).output()).code;
  };
  const port = `${server.addr.port}`;
  deepStrictEqual(await Promise.all([run(["--port", port]), run(["--queue", "1"], { PORT: port, HOST: "0.0.0.0" })]), [
    0,
    0,
  ]);
  status = 503;
  strictEqual(await run(["--port", port], { PORT: "1" }), 1);
  deepStrictEqual(asked, Array(3).fill("/health/ready"));
  await server.shutdown();
  strictEqual(await run(["--port", port]), 1);
});
