import { deepStrictEqual, match } from "node:assert/strict";
import { fileURLToPath } from "node:url";
import type { Refusal, Source } from "./dawn.ts";
import { codeOf, everyKernel, targets } from "./every_kernel.ts";

/** Where the npm package `webgpu` is installed, with Dawn in it. */
const folder = Deno.env.get("DAWN") ?? fileURLToPath(new URL("../../.tools/dawn", import.meta.url));

function isInstalled(): boolean {
  try {
    return Deno.statSync(`${folder}/node_modules/webgpu/package.json`).isFile;
  } catch {
    return false;
  }
}

/** What Dawn refuses of `sources`. */
async function compile(sources: readonly Source[]): Promise<Refusal[]> {
  const permissions = ["read", "ffi", "env", "sys"].map((name) => `--allow-${name}`);
  const command = new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", "--no-check", ...permissions, fileURLToPath(new URL("dawn.ts", import.meta.url)), folder],
    stdin: "piped",
    stdout: "piped",
  });
  await using process = command.spawn();
  const output = process.output();
  const writer = process.stdin.getWriter();
  await writer.write(new TextEncoder().encode(JSON.stringify(sources)));
  await writer.close();
  const { code, stdout } = await output;
  deepStrictEqual(code, 0, "Dawn's process ended well");
  return JSON.parse(new TextDecoder().decode(stdout));
}

Deno.test("every kernel compiles on a second WGSL compiler, Dawn's, which refuses a wrong one", async () => {
  if (!isInstalled()) {
    console.log(`no Dawn here: npm install --prefix ${folder} webgpu@0.6.2, or DAWN=FOLDER, would bring it`);
    return;
  }
  const kernels = [...everyKernel(targets([0, 8, 32]))].map(([label, variant]) => ({ label, code: codeOf(variant) }));
  const wrong = { label: "wrong", code: "@compute @workgroup_size(1) fn main() { let x: u32 = 1.5; }" };
  const [refused, ...others] = await compile([wrong, ...kernels]);
  deepStrictEqual(others, []);
  deepStrictEqual(refused.label, "wrong");
  match(refused.message, /u32/);
});
