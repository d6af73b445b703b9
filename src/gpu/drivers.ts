/** What WebGPU and drivers are told by variables, which they read when an adapter is first asked for in a process. */
import { LibraryError, openLibrary } from "../std/c_library.ts";

/**
 * Sets the variables, each unless it is set already or there is no right to: whoever starts a Worker without rights to
 * the environment calls this first.
 */
export function prepareDrivers(): void {
  for (const prepare of [avoidOpenGl, useWidestVectors]) {
    try {
      prepare();
    } catch (error) {
      if (!(error instanceof Deno.errors.NotCapable || error instanceof LibraryError)) throw error;
    }
  }
}

/**
 * OpenGL is no adapter for this: it has neither f16 nor subgroups, and where it is all that is there (Mesa's without its
 * Vulkan drivers, as browsers bring it) kernels compile for a minute and then the process crashes (Deno 2.9.6).
 */
function avoidOpenGl(): void {
  const variable = "DENO_WEBGPU_BACKEND";
  if (!Deno.env.get(variable)) Deno.env.set(variable, "vulkan,metal,dx12");
}

/**
 * Has llvmpipe use 512-bit vectors where the processor has them: it stops at 256 by itself (measured: 1.2 to 1.6 times
 * slower in matmul and attention).
 */
function useWidestVectors(): void {
  const variable = "LP_NATIVE_VECTOR_WIDTH";
  if (Deno.build.os !== "linux" || Deno.env.has(variable)) return;
  if (/^flags\s*:.*\bavx512f\b/m.test(readProcessors())) Deno.env.set(variable, "512");
}

/** The first 16 KiB of /proc/cpuinfo, "" where there is none: with the C library, for Deno reads it with all rights only. */
function readProcessors(): string {
  const library = openLibrary({
    open: { parameters: ["buffer", "i32"], result: "i32" },
    read: { parameters: ["i32", "buffer", "usize"], result: "isize" },
    close: { parameters: ["i32"], result: "i32" },
  });
  const { open, read, close } = library.symbols;
  const file = open(new TextEncoder().encode("/proc/cpuinfo\0"), 0);
  const bytes = new Uint8Array(16 << 10), length = Number(read(file, bytes, BigInt(bytes.length))); // -1 of no file
  close(file);
  library.close();
  return new TextDecoder().decode(bytes.subarray(0, Math.max(0, length)));
}
