/**
 * A whole file as read-only memory, through the system's own calls. Nothing outside `bytes.ts`
 * should use it: an address says nothing about whether it is still mapped.
 */

import { LibraryError, openLibrary } from "../std/c_library.ts";

/** A mapped file. Reading past `fileBytes()`, or after `close()`, ends the process. */
export interface Mapping {
  /** Where byte 0 of the file is. */
  readonly address: Deno.PointerObject;
  /** Bytes mapped: the file's size when it was opened. */
  readonly byteLength: number;
  /** The file's size now. Smaller than `byteLength` after another process has cut it, where the system allows that. */
  fileBytes(): number;
  /** Hints that [begin, end) is not needed soon: its pages leave this process, and are read again when touched. */
  release(begin: number, end: number): void;
  /** Undoes the mapping and closes the file. */
  close(): void;
}

/** Why a file was not mapped; the caller may still read it in the ordinary way. */
export class MapError extends Error {
  override name = "MapError";
}

/**
 * Maps the regular file at `path`. Throws a MapError where this system has no such call, FFI is not permitted
 * (never asking for it), or the call fails. FFI is outside Deno's sandbox: check permission to read `path` before.
 */
export function mapFile(path: string): Mapping {
  try {
    switch (Deno.build.os) {
      case "windows":
        return mapWindows(path);
      case "linux":
      case "android":
      case "darwin":
        return mapPosix(path);
      default:
        throw new MapError(`mapping is not supported on ${Deno.build.os}`);
    }
  } catch (error) {
    throw error instanceof LibraryError ? new MapError(error.message, { cause: error }) : error;
  }
}

const POSIX = {
  open: { parameters: ["buffer", "i32"], result: "i32" },
  close: { parameters: ["i32"], result: "i32" },
  lseek: { parameters: ["i32", "i64", "i32"], result: "i64" },
  mmap: { parameters: ["pointer", "usize", "i32", "i32", "i32", "i64"], result: "pointer" },
  munmap: { parameters: ["pointer", "usize"], result: "i32" },
  madvise: { parameters: ["pointer", "usize", "i32"], result: "i32" },
} as const;

const O_RDONLY = 0;
const O_CLOEXEC = Deno.build.os === "darwin" ? 0x1000000 : 0x80000;
const SEEK_END = 2;
const PROT_READ = 1;
const MAP_SHARED = 1;
const MADV_DONTNEED = 4;
const MAP_FAILED = 2n ** 64n - 1n;
/** A multiple of every page size in use: 4, 16 and 64 KiB. */
const PAGE = 0x10000;

function mapPosix(path: string): Mapping {
  const library = openLibrary(POSIX);
  const { open, close, lseek, mmap, munmap, madvise } = library.symbols;
  const file = open(new TextEncoder().encode(path + "\0"), O_RDONLY | O_CLOEXEC);
  const abandon = (why: string) => {
    if (file >= 0) close(file);
    library.close();
    return new MapError(why);
  };
  if (file < 0) throw abandon("open() failed");
  const fileBytes = () => Number(lseek(file, 0n, SEEK_END));
  const byteLength = fileBytes();
  if (byteLength <= 0) throw abandon(`a file of ${byteLength} bytes cannot be mapped`);
  const address = mmap(null, BigInt(byteLength), PROT_READ, MAP_SHARED, file, 0n);
  if (address === null || Deno.UnsafePointer.value(address) === MAP_FAILED) throw abandon("mmap() failed");

  return {
    address,
    byteLength,
    fileBytes,
    release(begin, end) {
      // Whole pages only, except at the end of the file: a neighbour's page may be in use.
      const first = Math.ceil(begin / PAGE) * PAGE;
      const last = end >= byteLength ? byteLength : Math.floor(end / PAGE) * PAGE;
      if (last <= first) return;
      madvise(Deno.UnsafePointer.offset(address, first), BigInt(last - first), MADV_DONTNEED);
    },
    close() {
      munmap(address, BigInt(byteLength));
      close(file);
      library.close();
    },
  };
}

const WINDOWS = {
  CreateFileW: { parameters: ["buffer", "u32", "u32", "pointer", "u32", "u32", "pointer"], result: "pointer" },
  GetFileSizeEx: { parameters: ["pointer", "buffer"], result: "i32" },
  CreateFileMappingW: { parameters: ["pointer", "pointer", "u32", "u32", "u32", "pointer"], result: "pointer" },
  MapViewOfFile: { parameters: ["pointer", "u32", "u32", "u32", "usize"], result: "pointer" },
  UnmapViewOfFile: { parameters: ["pointer"], result: "i32" },
  CloseHandle: { parameters: ["pointer"], result: "i32" },
} as const;

const GENERIC_READ = 0x80000000;
const FILE_SHARE_READ = 1;
const OPEN_EXISTING = 3;
const FILE_ATTRIBUTE_NORMAL = 0x80;
const INVALID_HANDLE = 2n ** 64n - 1n;
const PAGE_READONLY = 2;
const FILE_MAP_READ = 4;

function mapWindows(path: string): Mapping {
  const library = openLibrary(WINDOWS);
  const { CreateFileW, GetFileSizeEx, CreateFileMappingW, MapViewOfFile, UnmapViewOfFile, CloseHandle } =
    library.symbols;
  const wide = Uint16Array.from(path + "\0", (unit) => unit.charCodeAt(0));
  const file = CreateFileW(wide, GENERIC_READ, FILE_SHARE_READ, null, OPEN_EXISTING, FILE_ATTRIBUTE_NORMAL, null);
  if (file === null || Deno.UnsafePointer.value(file) === INVALID_HANDLE) {
    library.close();
    throw new MapError("CreateFileW() failed");
  }
  const abandon = (why: string) => {
    CloseHandle(file);
    library.close();
    return new MapError(why);
  };
  const size = new BigInt64Array(1);
  if (!GetFileSizeEx(file, size)) throw abandon("GetFileSizeEx() failed");
  const byteLength = Number(size[0]);
  const mapping = CreateFileMappingW(file, null, PAGE_READONLY, 0, 0, null);
  if (mapping === null) throw abandon("CreateFileMappingW() failed");
  const address = MapViewOfFile(mapping, FILE_MAP_READ, 0, 0, 0n);
  CloseHandle(mapping); // the view keeps it alive
  if (address === null) throw abandon("MapViewOfFile() failed");

  return {
    address,
    byteLength,
    fileBytes: () => byteLength, // Windows lets nobody write to, or cut, a file opened without FILE_SHARE_WRITE
    release() {}, // no counterpart: Windows takes clean pages back by itself
    close() {
      UnmapViewOfFile(address);
      CloseHandle(file);
      library.close();
    },
  };
}
