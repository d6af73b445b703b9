/** What a file is, told by its first bytes and never by a name. */

/** The first bytes of formats, as Latin-1. */
const magic = [
  ["PNG", new RegExp("^\x89PNG\r\n\x1a\n")],
  ["JPEG", /^\xff\xd8\xff/],
  ["GIF", /^GIF8[79]a/],
  ["BMP", /^BM/],
  ["WebP", /^RIFF[^]{4}WEBP/],
  ["AVIF or HEIC", /^[^]{4}ftyp/],
  ["TIFF", /^(II\*\0|MM\0\*)/],
  ["SVG or XML", /^\s*<(\?xml|svg)/],
  ["HTML", /^\s*<(!DOCTYPE|html)/i],
] as const;

/** A file's format; undefined where it is of none that is known. */
export function kindOf(file: Uint8Array): typeof magic[number][0] | undefined {
  const start = String.fromCharCode(...file.subarray(0, 32));
  return magic.find(([, pattern]) => pattern.test(start))?.[0];
}
