/**
 * Compiles kernels with Dawn, whose WGSL compiler (Tint) is stricter than Deno's (Naga). A programme of its own because
 * the native add-on brings another WebGPU into the process.
 *
 *     deno run --allow-read --allow-ffi --allow-env --allow-sys dawn.ts FOLDER < kernels.json
 *
 * FOLDER has the npm package `webgpu` in its node_modules. The input is a list of {@link Source}; the output a list of
 * {@link Refusal}, empty when all compile.
 */
import { createRequire } from "node:module";
import { text } from "node:stream/consumers";
import process from "node:process";

/** A kernel's text. */
export interface Source {
  label: string;
  code: string;
}

/** What the compiler has against a kernel. */
export interface Refusal {
  label: string;
  message: string;
}

if (import.meta.main) {
  const { create } = createRequire(`${process.argv[2]}/`)("webgpu") as { create(flags: string[]): GPU };
  // The null backend runs nothing, has every feature and needs no driver. `gpu` must outlive its device.
  const gpu = create(["backend=null"]);
  const adapter = await gpu.requestAdapter();
  const requiredFeatures = ["shader-f16", "subgroups"] as GPUFeatureName[];
  const device = await adapter!.requestDevice({ requiredFeatures });
  const refusals: Refusal[] = [];
  for (const { label, code } of JSON.parse(await text(process.stdin)) as Source[]) {
    // Naga has subgroup operations without this line and refuses it; Tint demands it.
    const enable = /\bsubgroup[A-Z]/.test(code) ? "enable subgroups;\n" : "";
    device.pushErrorScope("validation"); // what is wrong is in the messages
    const { messages } = await device.createShaderModule({ label, code: enable + code }).getCompilationInfo();
    await device.popErrorScope();
    const errors = messages.filter(({ type }) => type === "error");
    if (errors.length) refusals.push({ label, message: errors.map(({ message }) => message).join("; ") });
  }
  console.log(JSON.stringify(refusals));
  process.exit(); // the add-on would keep the process alive
}
