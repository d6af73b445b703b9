/** How wide Mesa's software driver makes its vectors. */
import { LibraryError, openLibrary } from "../std/c_library.ts";

const variable = "LP_NATIVE_VECTOR_WIDTH";

/**
 * Has llvmpipe use 512-bit vectors where the processor has them: it stops at 256 by itself (measured: 1.2 to 1.6 times
 * slower in matmul and attention). The driver reads the variable once in a process, when an adapter is first asked for:
 * whoever starts a Worker without rights to the environment calls this first. A value that is set already stays, and
 * without the rights to see and set it nothing happens.
 */
export function useWidestVectors(): void {
  try {
    if (Deno.build.os !== "linux" || Deno.env.has(variable)) return;
    if (/^flags\s*:.*\bavx512f\b/m.test(readProcessors())) Deno.env.set(variable, "512");
  } catch (error) {
    if (!(error instanceof Deno.errors.NotCapable || error instanceof LibraryError)) throw error;
  }
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
