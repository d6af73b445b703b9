/** The texts of a PNG: what `tEXt`, `zTXt` and `iTXt` chunks say (PNG specification, section 11.3.3). */
import { inflateSync } from "node:zlib";

/** Most bytes that a compressed text may have. */
const largestText = 1 << 20;

/** The texts by their keywords, of as much of the file as is a PNG; nothing of another file. */
export function readTexts(file: Uint8Array): Record<string, string> {
  const texts: Record<string, string> = {};
  const view = new DataView(file.buffer, file.byteOffset, file.length);
  for (let at = 8; at + 12 <= file.length;) {
    const length = view.getUint32(at), type = latin1(file.subarray(at + 4, at + 8));
    if (at + 12 + length > file.length) break;
    const data = file.subarray(at + 8, at + 8 + length), end = data.indexOf(0);
    if (end > 0) {
      const text = textOf(type, data.subarray(end + 1));
      if (text !== undefined) texts[latin1(data.subarray(0, end))] = text;
    }
    at += 12 + length;
  }
  return texts;
}

/** What follows a keyword, in each kind of chunk. */
function textOf(type: string, data: Uint8Array): string | undefined {
  switch (type) {
    case "tEXt":
      return latin1(data);
    case "zTXt": {
      const inflated = inflate(data.subarray(1));
      return inflated && latin1(inflated);
    }
    case "iTXt": {
      // Compression flag and method, then language tag and translated keyword, each ended by a NUL.
      const tag = data.indexOf(0, 2), keyword = tag < 0 ? -1 : data.indexOf(0, tag + 1);
      if (keyword < 0) return undefined;
      const rest = data.subarray(keyword + 1), text = data[0] === 1 ? inflate(rest) : rest;
      return text && new TextDecoder().decode(text);
    }
    default:
      return undefined;
  }
}

function inflate(data: Uint8Array): Uint8Array | undefined {
  try {
    return inflateSync(data, { maxOutputLength: largestText });
  } catch {
    return undefined;
  }
}

function latin1(bytes: Uint8Array): string {
  // TextDecoder's "latin1" is windows-1252; these are the first 256 characters of Unicode.
  return Array.from(bytes, (byte) => String.fromCharCode(byte)).join("");
}
