import { deepStrictEqual, strictEqual, throws } from "node:assert/strict";
import {
  bf16ToF32,
  bitsPerElement,
  dtypeOfFile,
  f16ToF32,
  f32ToBf16,
  f32ToF16,
  fileNameOf,
  toFloat32,
} from "../../src/tensor/dtype.ts";

function bitsOf(values: Float16Array): number[] {
  return [...new Uint16Array(values.buffer, values.byteOffset, values.length)];
}

Deno.test("dtypeOfFile() takes safetensors' upper-case names and nothing else", () => {
  strictEqual(dtypeOfFile("F16"), "f16");
  strictEqual(dtypeOfFile("F8_E4M3FNUZ"), "f8_e4m3fnuz");
  for (const name of ["f16", "F33", "", "CONSTRUCTOR", "__PROTO__"]) strictEqual(dtypeOfFile(name), undefined);
  strictEqual(fileNameOf("bf16"), "BF16");
  deepStrictEqual((["f4", "bool", "f16", "c64"] as const).map(bitsPerElement), [4, 8, 16, 64]);
});

Deno.test("f32ToF16() rounds to nearest, ties to even, through subnormals and overflow", () => {
  const cases: [value: number, bits: number][] = [
    [0, 0x0000],
    [-0, 0x8000],
    [1, 0x3c00],
    [1 + 2 ** -11, 0x3c00], // halfway: to even
    [1 + 3 * 2 ** -11, 0x3c02], // halfway: to even
    [65504, 0x7bff],
    [65519.996, 0x7bff],
    [65520, 0x7c00],
    [2 ** -24, 0x0001],
    [2 ** -25, 0x0000], // halfway to the smallest
    [1.5 * 2 ** -24, 0x0002],
    [-Infinity, 0xfc00],
  ];
  deepStrictEqual(bitsOf(f32ToF16(Float32Array.from(cases, ([value]) => value))), cases.map(([, bits]) => bits));
  strictEqual(f32ToF16(Float32Array.of(NaN))[0], NaN);
});

Deno.test("every half float survives the way to f32 and back", () => {
  const halves = new Float16Array(Uint16Array.from({ length: 65536 }, (_, bits) => bits).buffer);
  const back = f32ToF16(f16ToF32(halves));
  strictEqual(halves.every((value, i) => Object.is(value, back[i])), true);
});

Deno.test("f32ToBf16() rounds to nearest, ties to even, and keeps NaN and infinities", () => {
  const words = Uint32Array.of(
    0x3f800000,
    0x3f808000, // halfway: to even, down
    0x3f818000, // halfway: to even, up
    0x3f808001,
    0x7f7fffff, // the largest f32 rounds to infinity
    0x7f800000,
    0xff800000,
    0x7f800001, // a NaN whose payload is in the lower half only
  );
  const bits = f32ToBf16(new Float32Array(words.buffer));
  deepStrictEqual([...bits], [0x3f80, 0x3f80, 0x3f82, 0x3f81, 0x7f80, 0x7f80, 0xff80, 0x7fc0]);
});

Deno.test("bf16ToF32() gives back every bfloat16", () => {
  const bits = Uint16Array.from({ length: 0x7f80 }, (_, i) => i); // all that are finite and positive
  deepStrictEqual(f32ToBf16(bf16ToF32(bits)), bits);
});

Deno.test("toFloat32() reads each number type from any address", () => {
  const cases = [
    ["f32", Float32Array.of(1.5, -2)],
    ["f16", Float16Array.of(1.5, -2)],
    ["bf16", Uint16Array.of(0x3fc0, 0xc000)],
    ["f64", Float64Array.of(1.5, -2)],
  ] as const;
  for (const [dtype, { buffer }] of cases) {
    const shifted = new Uint8Array(buffer.byteLength + 1);
    shifted.set(new Uint8Array(buffer), 1);
    deepStrictEqual([...toFloat32(shifted.subarray(1), dtype)], [1.5, -2], dtype);
  }
  deepStrictEqual([...toFloat32(new Uint8Array(BigInt64Array.of(-7n).buffer), "i64")], [-7]);
  deepStrictEqual([...toFloat32(new Uint8Array(Int32Array.of(-7).buffer), "i32")], [-7]);
  deepStrictEqual([...toFloat32(Uint8Array.of(200), "u8")], [200]);
  deepStrictEqual([...toFloat32(Uint8Array.of(200), "i8")], [-56]);
  throws(() => toFloat32(new Uint8Array(8), "c64"), /Cannot read c64 as numbers/);
});
