/** PNG's container: a signature, then chunks of length, type, data and CRC-32 (PNG specification, section 5). */
import { crc32 } from "node:zlib";

/** The eight bytes every PNG starts with. */
export const signature: Uint8Array = new Uint8Array([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);

/** One chunk as it stands in a file; `type` is four ASCII letters. */
export function chunk(type: string, data: Uint8Array): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(12 + data.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, data.length);
  for (let i = 0; i < 4; i++) bytes[4 + i] = type.charCodeAt(i);
  bytes.set(data, 8);
  view.setUint32(8 + data.length, crc32(bytes.subarray(4, 8 + data.length)));
  return bytes;
}

/** A text chunk: `tEXt` where the text is Latin-1, else `iTXt` in UTF-8, uncompressed. Neither can hold a NUL. */
export function textChunk(keyword: string, text: string): Uint8Array<ArrayBuffer> {
  if (text.includes("\0")) {
    throw new RangeError(`Cannot write the PNG text ${keyword}: it holds a NUL, which ends a text`);
  }
  if (!/[\u0100-\uffff]/.test(text)) {
    return chunk("tEXt", Uint8Array.from(`${keyword}\0${text}`, (character) => character.charCodeAt(0)));
  }
  // After the keyword: not compressed, method 0, no language tag, no translated keyword.
  return chunk("iTXt", new TextEncoder().encode(`${keyword}\0\0\0\0\0${text}`));
}

/** The arrays one after the other. */
export function concat(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(parts.reduce((bytes, part) => bytes + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
