/** The system's C library: the only FFI of the project. */

/** Why the C library could not be opened. */
export class LibraryError extends Error {
  override name = "LibraryError";
}

/** The C library by the loader's own name, then where distributions put it: Debian, Fedora, Arch, musl. */
function libraries(): string[] {
  if (Deno.build.os === "windows") return ["kernel32.dll", "C:\\Windows\\System32\\kernel32.dll"];
  if (Deno.build.os === "darwin") return ["/usr/lib/libSystem.B.dylib"];
  const { arch } = Deno.build;
  return [
    "libc.so.6",
    `/lib/${arch}-linux-gnu/libc.so.6`,
    "/lib64/libc.so.6",
    "/usr/lib/libc.so.6",
    `/lib/ld-musl-${arch}.so.1`,
    "/system/lib64/libc.so",
  ];
}

/**
 * Opens the system's C library.
 * @throws {LibraryError} where FFI is not permitted, never asking for it, or there is none.
 */
export function openLibrary<const S extends Deno.ForeignLibraryInterface>(symbols: S): Deno.DynamicLibrary<S> {
  // Asked for, not tried: a refusal must not become a question on the terminal.
  const granted = libraries().filter((path) => Deno.permissions.querySync({ name: "ffi", path }).state === "granted");
  if (granted.length === 0) throw new LibraryError("FFI is not permitted (--allow-ffi)");
  for (const path of granted) {
    try {
      return Deno.dlopen(path, symbols);
    } catch { /* not here: try the next place */ }
  }
  throw new LibraryError(`no C library was found at ${granted.join(", ")}`);
}
