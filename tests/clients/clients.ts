/**
 * The real clients of every surface against a real server on the embedded model: `deno task test:clients`. Their packages
 * are put into `.cache/clients` first, which needs a network, Python and npm.
 */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { Server } from "../server/programme.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));
const here = fileURLToPath(new URL("./", import.meta.url));
const folder = Deno.env.get("CLIENTS") ?? `${root}.cache/clients`;

const scripts: [name: string, command: string, args: string[]][] = [
  ...["openai", "webuiapi", "huggingface", "litellm", "triton"].map((name): [string, string, string[]] => [
    name,
    `${folder}/venv/bin/python`,
    [`${here}${name}_client.py`],
  ]),
  ["npm's", "node", [`${here}node_clients.mjs`]],
];

/** What a command writes; fails as it fails. */
async function run(command: string, args: string[]): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(command, { args, cwd: root }).output();
  const [out, errors] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
  assert.ok(success, `${command} ${args.join(" ")}\n${out}${errors}`);
  return out;
}

for (const [name, command, args] of scripts) {
  Deno.test(`${name} clients find what they expect`, async () => {
    await run("sh", [`${here}install.sh`, folder]);
    await using server = await Server.start();
    console.log(await run(command, [...args, server.url, folder]));
  });
}
