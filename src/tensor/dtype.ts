/** Element types of tensors, as safetensors defines them, and conversion between the floating-point ones. */

/** Bits per element. */
const BITS = {
  bool: 8,
  f4: 4,
  f6_e2m3: 6,
  f6_e3m2: 6,
  u8: 8,
  i8: 8,
  f8_e5m2: 8,
  f8_e4m3: 8,
  f8_e8m0: 8,
  f8_e4m3fnuz: 8,
  f8_e5m2fnuz: 8,
  i16: 16,
  u16: 16,
  f16: 16,
  bf16: 16,
  i32: 32,
  u32: 32,
  f32: 32,
  c64: 64,
  f64: 64,
  i64: 64,
  u64: 64,
} as const;

/** An element type. Files write the same name in upper case: `F32`. */
export type DType = keyof typeof BITS;

/** Bits that one element takes; below 8, and 6, for the packed types. */
export function bitsPerElement(dtype: DType): number {
  return BITS[dtype];
}

/** The element type that a file calls `name` ("F16" is "f16"), or undefined where there is none. */
export function dtypeOfFile(name: string): DType | undefined {
  const dtype = name.toLowerCase();
  return dtype.toUpperCase() === name && Object.hasOwn(BITS, dtype) ? dtype as DType : undefined;
}

/** What a file calls this element type: "f16" is "F16". */
export function fileNameOf(dtype: DType): string {
  return dtype.toUpperCase();
}

/** Each value rounded to the nearest half float, ties to even; beyond ±65504 it becomes an infinity. */
export function f32ToF16(values: Float32Array): Float16Array<ArrayBuffer> {
  return new Float16Array(values);
}

/** Each half float as the single float of the same value; exact. */
export function f16ToF32(values: Float16Array): Float32Array<ArrayBuffer> {
  return new Float32Array(values);
}

/** The bits of each value rounded to the nearest bfloat16, ties to even; a NaN stays a (quiet) NaN. */
export function f32ToBf16(values: Float32Array): Uint16Array<ArrayBuffer> {
  const words = new Uint32Array(values.buffer, values.byteOffset, values.length), bits = new Uint16Array(words.length);
  for (let i = 0; i < words.length; i++) { // a weight is millions: Uint16Array.from takes 38 times as long
    const word = words[i], isNaN = (word & 0x7fffffff) > 0x7f800000;
    bits[i] = isNaN ? (word >>> 16) | 0x40 : (word + 0x7fff + ((word >>> 16) & 1)) >>> 16;
  }
  return bits;
}

/** The single floats whose upper halves are these bits; exact. */
export function bf16ToF32(bits: Uint16Array): Float32Array<ArrayBuffer> {
  const words = new Uint32Array(bits.length);
  for (let i = 0; i < bits.length; i++) words[i] = bits[i] << 16;
  return new Float32Array(words.buffer);
}

/**
 * Little-endian elements as single floats, rounded to nearest where `dtype` holds more. `bytes` may start anywhere.
 * Throws a RangeError for element types that are no plain numbers (packed and 8-bit floats, complex).
 */
export function toFloat32(bytes: Uint8Array, dtype: DType): Float32Array<ArrayBuffer> {
  const aligned = new Uint8Array(bytes).buffer; // a copy: typed arrays cannot start at odd addresses
  switch (dtype) {
    case "f32":
      return new Float32Array(aligned);
    case "f16":
      return f16ToF32(new Float16Array(aligned));
    case "bf16":
      return bf16ToF32(new Uint16Array(aligned));
    case "f64":
      return new Float32Array(new Float64Array(aligned));
    case "bool":
    case "u8":
      return new Float32Array(new Uint8Array(aligned));
    case "i8":
      return new Float32Array(new Int8Array(aligned));
    case "u16":
      return new Float32Array(new Uint16Array(aligned));
    case "i16":
      return new Float32Array(new Int16Array(aligned));
    case "u32":
      return new Float32Array(new Uint32Array(aligned));
    case "i32":
      return new Float32Array(new Int32Array(aligned));
    case "u64":
      return Float32Array.from(new BigUint64Array(aligned), Number);
    case "i64":
      return Float32Array.from(new BigInt64Array(aligned), Number);
    case "f4":
    case "f6_e2m3":
    case "f6_e3m2":
    case "f8_e5m2":
    case "f8_e4m3":
    case "f8_e8m0":
    case "f8_e4m3fnuz":
    case "f8_e5m2fnuz":
    case "c64":
      throw new RangeError(`Cannot read ${dtype} as numbers: only bool, integers, bf16, f16, f32 and f64 are`);
    default:
      return dtype satisfies never;
  }
}
