import { match, strictEqual } from "node:assert/strict";
import { join } from "node:path";
import { root } from "../files.ts";

/** Where distributions put SwiftShader, a Vulkan driver on the CPU that shares no code with Mesa's; it comes with Chromium. */
const drivers = [
  "/usr/lib/chromium/vk_swiftshader_icd.json", // Debian, Ubuntu: the package `chromium`
  "/usr/lib64/chromium-browser/vk_swiftshader_icd.json", // Fedora
  "/usr/lib/chromium-browser/vk_swiftshader_icd.json",
  "/opt/google/chrome/vk_swiftshader_icd.json",
];

async function exists(path: string): Promise<boolean> {
  return await Deno.stat(path).then(() => true, () => false);
}

/** Runs `deno` with SwiftShader as the only Vulkan driver; undefined, having said so, where there is none. */
async function onSwiftShader(...args: string[]): Promise<{ code: number; output: string } | undefined> {
  const found = await Promise.all(drivers.map(exists));
  const driver = drivers.find((_, i) => found[i]);
  if (!driver) {
    console.log("Skipped: SwiftShader is not here; on Debian and Ubuntu `apt-get install chromium` brings it");
    return;
  }
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args,
    cwd: root,
    env: { VK_ICD_FILENAMES: driver, VK_DRIVER_FILES: driver, NO_COLOR: "1" },
  }).output();
  const decoder = new TextDecoder();
  return { code, output: decoder.decode(stdout) + decoder.decode(stderr) };
}

Deno.test("kernels are right on a second driver too: matmul, attention and norms, by subgroups and by workgroups", async () => {
  const run = await onSwiftShader("test", "--allow-all", "--no-check", join("tests", "gpu", "second_driver.ts"));
  if (!run) return;
  strictEqual(run.code, 0, run.output);
  match(run.output, /\| \d\d passed \| 0 failed/);
});

Deno.test("whole networks are right on a second driver too: a text encoder, a VAE both ways", async () => {
  for (const cases of ["tiny-sd15/text_encoder", "tiny-sd15/vae/0"]) {
    const args = ["tests/oracle", "--only", cases, "--dtype", "f32"];
    const run = await onSwiftShader("run", "--allow-all", "--no-check", join("src", "cli", "parity.ts"), ...args);
    if (!run) return;
    strictEqual(run.code, 0, run.output);
    match(run.output, /comparisons on SwiftShader.*: all within tolerance/);
  }
});
