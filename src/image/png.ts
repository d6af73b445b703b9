/**
 * PNG to RGB (PNG specification, third edition): every colour type, depth and interlacing.
 *
 * Written here because the packages do not do it safely: fast-png inflates whatever a file holds before it looks at the
 * size, does not refuse a wrong CRC unless asked, and unpacks interlaced pictures below 8 bits wrongly. Chunks are
 * checked first, and the pixels are inflated once, into exactly the bytes that the header promises.
 */
import { crc32, inflateSync } from "node:zlib";
import { checkSize, PictureError, type PictureWithAlpha } from "./picture.ts";

interface Header {
  width: number;
  height: number;
  /** Bits a sample. */
  depth: number;
  colourType: number;
  interlaced: boolean;
}

/** Samples a pixel and permitted depths, by colour type (section 11.2.1). */
const colourTypes: Record<number, { channels: number; depths: number[] }> = {
  0: { channels: 1, depths: [1, 2, 4, 8, 16] },
  2: { channels: 3, depths: [8, 16] },
  3: { channels: 1, depths: [1, 2, 4, 8] },
  4: { channels: 2, depths: [8, 16] },
  6: { channels: 4, depths: [8, 16] },
};
const palette = 3;

/** Adam7: where each pass starts and how far apart its pixels are (section 8.1). */
const adam7 = [[0, 0, 8, 8], [4, 0, 8, 8], [0, 4, 4, 8], [2, 0, 4, 4], [0, 2, 2, 4], [1, 0, 2, 2], [0, 1, 1, 2]];

/**
 * The picture of a PNG file, its alpha channel apart from it, colours declared transparent as they are, 16 bits cut to
 * the high byte; `exif` is its `eXIf` chunk.
 *
 * @throws PictureError
 */
export function decodePng(file: Uint8Array): PictureWithAlpha & { exif?: Uint8Array } {
  const found = readChunks(file);
  const { header } = found;
  const { channels } = colourTypes[header.colourType];
  const bits = channels * header.depth;
  const passes = passesOf(header).map((pass) => ({ ...pass, rowBytes: Math.ceil(pass.width * bits / 8) }));
  const data = inflate(found.idat, passes.reduce((bytes, { height, rowBytes }) => bytes + height * (1 + rowBytes), 0));

  const { width, height } = header;
  const pixels = new Uint8Array(width * height * 3);
  const alpha = channels % 2 === 0 ? new Uint8Array(width * height) : undefined;
  let at = 0;
  for (const { x, y, xStep, yStep, rowBytes, ...pass } of passes) {
    let above: Uint8Array = new Uint8Array(rowBytes);
    for (let row = 0; row < pass.height; row++) {
      const line = data.subarray(at + 1, at + 1 + rowBytes);
      unfilter(data[at], line, above, Math.max(1, bits >> 3));
      const samples = unpack(line, header, pass.width * channels);
      const first = ((y + row * yStep) * width + x) * 3;
      spread(samples, pixels, { first, step: xStep * 3, channels, colours: found.colours });
      if (alpha) {
        for (let i = 0; i < pass.width; i++) alpha[first / 3 + i * xStep] = samples[(i + 1) * channels - 1];
      }
      above = line;
      at += 1 + rowBytes;
    }
  }
  return { width, height, pixels, alpha, exif: found.exif };
}

/** Walks the chunks up to IEND: lengths within the file, the CRC of all that is used, the header within the limits. */
function readChunks(file: Uint8Array) {
  const view = new DataView(file.buffer, file.byteOffset, file.length);
  let header: Header | undefined;
  let colours: Uint8Array | undefined;
  let exif: Uint8Array | undefined;
  const idat: Uint8Array[] = [];
  for (let at = 8;;) {
    if (at + 12 > file.length) throw damaged("it ends before its IEND chunk");
    const length = view.getUint32(at);
    const type = String.fromCharCode(...file.subarray(at + 4, at + 8));
    if (!/^[A-Za-z]{4}$/.test(type)) throw damaged(`byte ${at + 4} should start the name of a chunk`);
    if (at + 12 + length > file.length) {
      throw damaged(`its ${type} chunk says ${length} bytes, the file has ${file.length - at - 12} left`);
    }
    const data = file.subarray(at + 8, at + 8 + length);
    if (type === "IHDR" || type === "PLTE" || type === "IDAT") {
      if (crc32(file.subarray(at + 4, at + 8 + length)) !== view.getUint32(at + 8 + length)) {
        throw damaged(`the CRC of its ${type} chunk is wrong`);
      }
    }
    if (!header && type !== "IHDR") throw damaged(`its first chunk is ${type}, not IHDR`);
    switch (type) {
      case "IHDR":
        header = readHeader(data);
        break;
      case "PLTE":
        if (length === 0 || length % 3 !== 0 || length > 768) throw damaged(`its palette has ${length} bytes`);
        // Colours past the end of a short palette are black, as in the reference library.
        colours = new Uint8Array(768);
        colours.set(data);
        break;
      case "IDAT":
        idat.push(data);
        break;
      case "eXIf":
        exif = data;
        break;
      case "IEND":
        if (!header || idat.length === 0) throw damaged("it has no IDAT chunk");
        if (header.colourType !== palette) colours = undefined; // only a suggestion there
        else if (!colours) throw damaged("it needs a palette and has none");
        return { header, colours, exif, idat };
      default:
        if (type[0] === type[0].toUpperCase()) throw damaged(`its chunk ${type} is critical and unknown`);
    }
    at += 12 + length;
  }
}

function readHeader(data: Uint8Array): Header {
  if (data.length !== 13) throw damaged(`its IHDR chunk has ${data.length} bytes, not 13`);
  const view = new DataView(data.buffer, data.byteOffset, data.length);
  const [width, height] = [view.getUint32(0), view.getUint32(4)];
  const [depth, colourType, compression, filter, interlace] = data.subarray(8);
  checkSize("PNG", width, height);
  if (!colourTypes[colourType]?.depths.includes(depth)) {
    throw damaged(`colour type ${colourType} with ${depth} bits a sample does not exist`);
  }
  if (compression !== 0 || filter !== 0 || interlace > 1) {
    throw damaged(`compression ${compression}, filter ${filter}, interlacing ${interlace} are not defined`);
  }
  return { width, height, depth, colourType, interlaced: interlace === 1 };
}

/** The smaller pictures that follow each other in the data: one, or up to seven when interlaced. */
function passesOf({ width, height, interlaced }: Header) {
  return (interlaced ? adam7 : [[0, 0, 1, 1]]).map(([x, y, xStep, yStep]) => ({
    x,
    y,
    xStep,
    yStep,
    width: Math.ceil((width - x) / xStep),
    height: Math.ceil((height - y) / yStep),
  })).filter((pass) => pass.width > 0 && pass.height > 0);
}

/** Inflates to `expected` bytes; more than that is never allocated. */
function inflate(idat: Uint8Array[], expected: number): Uint8Array {
  let data: Uint8Array;
  try {
    data = inflateSync(join(idat), { maxOutputLength: expected });
  } catch (cause) {
    if (cause instanceof Error && "code" in cause && cause.code === "ERR_BUFFER_TOO_LARGE") {
      throw damaged(`its pixels are more than the ${expected} bytes that its header promises`);
    }
    throw damaged(`its pixels do not inflate (${cause instanceof Error ? cause.message : cause})`);
  }
  if (data.length < expected) throw damaged(`its pixels are ${data.length} bytes, its header promises ${expected}`);
  return data;
}

function join(parts: Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((bytes, part) => bytes + part.length, 0));
  parts.reduce((at, part) => (whole.set(part, at), at + part.length), 0);
  return whole;
}

/** Undoes a scanline's filter in place (section 9.2); `pixel` is the distance in bytes to the left neighbour. */
function unfilter(type: number, line: Uint8Array, above: Uint8Array, pixel: number): void {
  switch (type) {
    case 0:
      return;
    case 1:
      for (let i = pixel; i < line.length; i++) line[i] += line[i - pixel];
      return;
    case 2:
      for (let i = 0; i < line.length; i++) line[i] += above[i];
      return;
    case 3:
      for (let i = 0; i < line.length; i++) line[i] += ((i < pixel ? 0 : line[i - pixel]) + above[i]) >> 1;
      return;
    case 4:
      for (let i = 0; i < line.length; i++) {
        const left = i < pixel ? 0 : line[i - pixel];
        const upLeft = i < pixel ? 0 : above[i - pixel];
        const toLeft = Math.abs(above[i] - upLeft);
        const toUp = Math.abs(left - upLeft);
        const toUpLeft = Math.abs(left + above[i] - 2 * upLeft);
        line[i] += toLeft <= toUp && toLeft <= toUpLeft ? left : toUp <= toUpLeft ? above[i] : upLeft;
      }
      return;
    default:
      throw damaged(`filter ${type} does not exist`);
  }
}

/** The first `count` samples of a line in 8 bits; palette indexes stay as they are. */
function unpack(line: Uint8Array, { depth, colourType }: Header, count: number): Uint8Array {
  if (depth === 8) return line;
  const samples = new Uint8Array(count);
  if (depth === 16) {
    for (let i = 0; i < count; i++) samples[i] = line[2 * i];
    return samples;
  }
  const largest = (1 << depth) - 1;
  const scale = colourType === palette ? 1 : 255 / largest;
  for (let i = 0; i < count; i++) {
    const bit = i * depth;
    samples[i] = ((line[bit >> 3] >> (8 - depth - (bit & 7))) & largest) * scale;
  }
  return samples;
}

interface Target {
  /** Where the line's first pixel goes, and how far it is to the next, in bytes. */
  first: number;
  step: number;
  channels: number;
  /** The palette, [256, 3], when the samples are indexes. */
  colours?: Uint8Array;
}

/** Writes a line's pixels to their places as RGB, without alpha. */
function spread(samples: Uint8Array, pixels: Uint8Array, { first, step, channels, colours }: Target): void {
  // From one pixel's red to its green and blue: nowhere for grey.
  const next = channels < 3 ? 0 : 1;
  for (let i = 0, to = first; i < samples.length; i += channels, to += step) {
    const from = colours ? samples[i] * 3 : i;
    const source = colours ?? samples;
    const stride = colours ? 1 : next;
    pixels[to] = source[from];
    pixels[to + 1] = source[from + stride];
    pixels[to + 2] = source[from + 2 * stride];
  }
}

function damaged(reason: string): PictureError {
  return new PictureError("damaged", `Cannot read the PNG: ${reason}, an undamaged file would do`);
}
