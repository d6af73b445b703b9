/**
 * The page at `/` in real browsers, used as a person would, on a real server with the embedded model:
 * `deno task test:page`. Chromium and Firefox are taken where the system has them; what drives them is put into
 * `.cache/browser` first, which needs a network and npm.
 */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { Server } from "../server/programme.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));
const here = fileURLToPath(new URL("./", import.meta.url));
const folder = Deno.env.get("BROWSER_TOOLS") ?? `${root}.cache/browser`;

const browsers = [
  { browser: "chrome", programme: "chromium" },
  { browser: "firefox", programme: "firefox-esr" },
];

/** What a command writes; fails as it fails. */
async function run(command: string, args: string[]): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(command, { args, cwd: root }).output();
  const [out, errors] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
  assert.ok(success, `${command} ${args.join(" ")}\n${out}${errors}`);
  return out;
}

async function install(): Promise<void> {
  const wanted = Deno.readTextFileSync(`${here}package.json`);
  try {
    if (Deno.readTextFileSync(`${folder}/package.json`) === wanted && Deno.statSync(`${folder}/node_modules`)) return;
  } catch { /* nothing is there yet */ }
  Deno.mkdirSync(folder, { recursive: true });
  Deno.writeTextFileSync(`${folder}/package.json`, wanted);
  await run("npm", ["install", "--silent", "--no-audit", "--no-fund", "--no-package-lock", "--prefix", folder]);
}

for (const { browser, programme } of browsers) {
  const found = await new Deno.Command("which", { args: [programme] }).output();
  const path = new TextDecoder().decode(found.stdout).trim();
  if (!found.success) console.log(`There is no ${programme} here: the page is not tried in it`);
  Deno.test({
    name: `a person gets on with the page in ${programme}`,
    ignore: !found.success,
    fn: async () => {
      await install();
      await using open = await Server.start();
      Deno.env.set("API_KEYS", "secret");
      const starting = Server.start();
      Deno.env.delete("API_KEYS");
      await using closed = await starting;
      console.log(await run("node", [`${here}person.mjs`, folder, browser, path, open.url, closed.url]));
    },
  });
}
