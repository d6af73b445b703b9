/**
 * What the specifier `@std/encoding` maps to: the functions of Deno's standard library that this project uses, with
 * the same names and signatures, on the engine's own base64 and hex.
 */

/** Text counts as its UTF-8 bytes. */
function bytesOf(data: ArrayBuffer | Uint8Array | string): Uint8Array {
  if (typeof data === "string") return new TextEncoder().encode(data);
  return data instanceof ArrayBuffer ? new Uint8Array(data) : data;
}

/** Base64 with padding (RFC 4648, section 4). */
export function encodeBase64(data: ArrayBuffer | Uint8Array | string): string {
  return bytesOf(data).toBase64();
}

/** The bytes of base64, padded or not; white space is skipped, anything else outside the alphabet is a SyntaxError. */
export function decodeBase64(b64: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.fromBase64(b64);
}

/** Base64 for URLs, without padding (RFC 4648, section 5). */
export function encodeBase64Url(data: ArrayBuffer | Uint8Array | string): string {
  return bytesOf(data).toBase64({ alphabet: "base64url", omitPadding: true });
}

/** The bytes of base64url, padded or not; anything outside the alphabet is a SyntaxError. */
export function decodeBase64Url(b64url: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.fromBase64(b64url, { alphabet: "base64url" });
}

/** Two lower-case digits a byte. */
export function encodeHex(src: string | Uint8Array | ArrayBuffer): string {
  return bytesOf(src).toHex();
}

/** The bytes of hexadecimal digits of either case; an odd count or another character is a SyntaxError. */
export function decodeHex(src: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.fromHex(src);
}
