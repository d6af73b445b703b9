import { deepStrictEqual, ok, strictEqual, throws } from "node:assert/strict";
import { CheckpointError } from "../../src/checkpoint/error.ts";
import { openBytes } from "../../src/checkpoint/bytes.ts";
import { openCheckpoint } from "../../src/checkpoint/safetensors.ts";
import { type TensorData, writeSafetensors } from "../../src/checkpoint/write.ts";

/** Runs `body` with a file of three tensors: `a` [70001] f16, `b` [0, 4] f32, `c` [3] u8. */
function withFile(body: (path: string, a: Float16Array) => void): void {
  const folder = Deno.makeTempDirSync();
  try {
    const path = `${folder}/model.safetensors`;
    const a = Float16Array.from({ length: 70001 }, (_, i) => i % 2048);
    const tensors = new Map<string, TensorData>([
      ["c", { dtype: "u8", shape: [3], data: Uint8Array.of(1, 2, 3) }],
      ["b", { dtype: "f32", shape: [0, 4], data: new Float32Array(0) }],
      ["a", { dtype: "f16", shape: [70001], data: a }],
    ]);
    writeSafetensors(path, tensors, { format: "pt" });
    body(path, a);
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
}

/** The module under test, for programs run as their own process. */
const source = new URL("../../src/checkpoint/safetensors.ts", import.meta.url).href;

Deno.test("writeSafetensors() sorts by name, pads the header with spaces and puts metadata first", () => {
  withFile((path) => {
    const bytes = Deno.readFileSync(path);
    const length = Number(new DataView(bytes.buffer).getBigUint64(0, true));
    const header = new TextDecoder().decode(bytes.subarray(8, 8 + length));
    strictEqual(length % 8, 0);
    strictEqual(
      header.trimEnd(),
      '{"__metadata__":{"format":"pt"},"a":{"dtype":"F16","shape":[70001],"data_offsets":[0,140002]},' +
        '"b":{"dtype":"F32","shape":[0,4],"data_offsets":[140002,140002]},' +
        '"c":{"dtype":"U8","shape":[3],"data_offsets":[140002,140005]}}',
    );
    deepStrictEqual([...bytes.subarray(-3)], [1, 2, 3]);
  });
});

Deno.test("writeSafetensors() sorts by code point, not by UTF-16 unit", () => {
  withFile((path) => {
    const data = { dtype: "u8", shape: [1], data: Uint8Array.of(0) } as const;
    writeSafetensors(path, new Map([["\u{1f600}", data], ["\uff00", data], ["ab", data], ["a", data]]));
    using checkpoint = openCheckpoint(path);
    deepStrictEqual([...checkpoint.tensors.keys()], ["a", "ab", "\uff00", "\u{1f600}"]);
  });
});

Deno.test("writeSafetensors() refuses data that does not fit dtype and shape", () => {
  const short = { dtype: "f32", shape: [2, 2], data: new Float32Array(3) } as const;
  withFile((path) => {
    throws(() => writeSafetensors(path, new Map([["w", short]])), /"w": f32 \[2, 2\] needs 16 bytes, .* has 12/);
  });
});

Deno.test("pieces() gives the same bytes mapped and read, in pieces of the size asked for", () => {
  withFile((path, a) => {
    const expected = new Uint8Array(a.buffer);
    for (const map of [true, false]) {
      using checkpoint = openCheckpoint(path, { map });
      const joined = new Uint8Array(expected.length);
      const sizes: number[] = [];
      for (const { offset, bytes } of checkpoint.pieces("a", 65536)) {
        joined.set(bytes, offset);
        sizes.push(bytes.length);
      }
      deepStrictEqual(joined, expected);
      deepStrictEqual(sizes, [65536, 65536, expected.length - 2 * 65536]);
      deepStrictEqual([...checkpoint.pieces("b", 65536)], []);
      deepStrictEqual(checkpoint.floats("a"), Float32Array.from(a));
      checkpoint.release("a");
      checkpoint.release();
      deepStrictEqual(checkpoint.bytes("a"), expected);
    }
  });
});

Deno.test("a file is mapped where FFI is permitted, and says so", () => {
  withFile((path) => {
    using checkpoint = openCheckpoint(path);
    deepStrictEqual([checkpoint.kind, checkpoint.reason], ["mmap", undefined]);
    using read = openCheckpoint(path, { map: false });
    deepStrictEqual([read.kind, read.reason], ["read", "mapping was not asked for"]);
  });
});

Deno.test("reading after close throws, whether mapped or read", () => {
  withFile((path) => {
    for (const map of [true, false]) {
      const checkpoint = openCheckpoint(path, { map });
      const pieces = checkpoint.pieces("a", 1024);
      pieces.next();
      checkpoint[Symbol.dispose]();
      checkpoint[Symbol.dispose](); // twice is harmless
      checkpoint.release();
      throws(() => pieces.next(), { name: "CheckpointError", message: `Cannot read ${path}: it has been closed` });
      throws(() => checkpoint.bytes("c"), { message: `Cannot read ${path}: it has been closed` });
    }
  });
});

Deno.test("a view of mapped memory that is kept too long is empty, not an address that is gone", () => {
  withFile((path) => {
    const checkpoint = openCheckpoint(path);
    const pieces = checkpoint.pieces("a", 1024);
    const first = pieces.next().value!.bytes;
    strictEqual(first.length, 1024);
    const second = pieces.next().value!.bytes;
    deepStrictEqual([first.length, first.buffer.detached], [0, true]);
    strictEqual(second.length, 1024);
    checkpoint[Symbol.dispose]();
    deepStrictEqual([second.length, second[0], second.buffer.detached], [0, undefined, true]);
  });
});

Deno.test("a loop that is left early leaves no view behind", () => {
  withFile((path) => {
    using checkpoint = openCheckpoint(path);
    let kept: Uint8Array | undefined;
    for (const { bytes } of checkpoint.pieces("a", 1024)) {
      kept = bytes;
      break;
    }
    strictEqual(kept?.length, 0);
  });
});

Deno.test("a file that changed its size while open is refused instead of read past its end", () => {
  for (const map of [true, false]) {
    withFile((path) => {
      using checkpoint = openCheckpoint(path, { map });
      Deno.truncateSync(path, 4096);
      throws(() => checkpoint.bytes("c"), (error) => {
        ok(error instanceof CheckpointError);
        return /it had \d+ bytes when opened and has 4096; open it again$/.test(error.message);
      });
    });
  }
});

Deno.test("a missing tensor, file or size of pieces is an error that says what was asked for", () => {
  withFile((path) => {
    using checkpoint = openCheckpoint(path);
    throws(() => checkpoint.bytes("d"), { message: `Cannot read tensor "d": ${path} has none of that name` });
    throws(() => checkpoint.pieces("a", 0).next(), RangeError);
    using file = openBytes(path);
    throws(() => file.pieces(0, file.byteLength + 1, 16).next(), RangeError);
    throws(() => openCheckpoint(path + "x"), { message: `Cannot open ${path}x: there is no such file` });
    const folder = path.slice(0, path.lastIndexOf("/"));
    throws(() => openCheckpoint(folder), { message: `Cannot open ${folder}: it is not a file` });
  });
});

for (const flag of ["--deny-ffi", "--no-prompt"]) {
  Deno.test(`without permission for FFI (${flag}) files are read, and the reason is given`, async () => {
    const path = `${import.meta.dirname}/../oracle/bad/safetensors/ok_minimal.safetensors`;
    const program = `
      import { openCheckpoint } from ${JSON.stringify(source)};
      using checkpoint = openCheckpoint(${JSON.stringify(path)});
      console.log(JSON.stringify([checkpoint.kind, checkpoint.reason, ...checkpoint.floats("a")]));
    `;
    const args = ["run", "--quiet", "--allow-read", flag, `data:application/typescript,${encodeURIComponent(program)}`];
    const { stdout, stderr } = await new Deno.Command(Deno.execPath(), { args }).output();
    const text = new TextDecoder();
    strictEqual(text.decode(stderr), "");
    deepStrictEqual(JSON.parse(text.decode(stdout)), ["read", "FFI is not permitted (--allow-ffi)", 1.5, -2]);
  });
}
