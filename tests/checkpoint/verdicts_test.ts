import { deepStrictEqual, ok, throws } from "node:assert/strict";
import { createHash } from "node:crypto";
import fc from "fast-check";
import { CheckpointError } from "../../src/checkpoint/error.ts";
import { openCheckpoint } from "../../src/checkpoint/safetensors.ts";
import { fileNameOf } from "../../src/tensor/dtype.ts";

const folder = `${import.meta.dirname}/../oracle/bad/safetensors/`;

interface Verdict {
  file: string;
  verdict: "accept" | "reject";
  error?: string;
  tensors?: { name: string; dtype: string; shape: number[]; sha256: string }[];
  safe_open: { metadata?: Record<string, string> | null };
}

const { files }: { files: Verdict[] } = JSON.parse(Deno.readTextFileSync(folder + "verdicts.json"));

function byName(a: { name: string }, b: { name: string }): number {
  return a.name < b.name ? -1 : 1;
}

for (const map of [true, false]) {
  const how = map ? "mapped" : "read";

  Deno.test(`every file that the reference accepts opens ${how}, with the same tensors`, () => {
    const accepted = files.filter(({ verdict }) => verdict === "accept");
    ok(accepted.length > 30);
    for (const { file, tensors, safe_open } of accepted) {
      using checkpoint = openCheckpoint(folder + file, { map });
      const found = [...checkpoint.tensors.values()].map(({ name, dtype, shape }) => ({
        name,
        dtype: fileNameOf(dtype),
        shape,
        sha256: createHash("sha256").update(checkpoint.bytes(name)).digest("hex"),
      }));
      deepStrictEqual(found.sort(byName), tensors!.sort(byName), file);
      deepStrictEqual(Object.fromEntries(checkpoint.metadata), safe_open.metadata ?? {}, file);
    }
  });

  Deno.test(`every file that the reference rejects is refused ${how}, in one sentence that names it`, () => {
    const rejected = files.filter(({ verdict }) => verdict === "reject");
    ok(rejected.length > 90);
    for (const { file } of rejected) {
      throws(() => openCheckpoint(folder + file, { map }), (error) => {
        ok(error instanceof CheckpointError, `${file}: ${error}`);
        ok(error.message.startsWith(`Cannot open ${folder}${file}: `), error.message);
        ok(!error.message.includes("\n") && !error.message.endsWith("."), error.message);
        return true;
      });
    }
  });
}

Deno.test("a refusal names the tensor where the reference's does, or where only one can be meant", () => {
  const named = files.filter(({ file, error }) =>
    /for tensor `/.test(error ?? "") || /^(shape|offsets_(one|float|string)|dtype|missing|tensor_is)_/.test(file)
  );
  for (const { file } of named.filter(({ verdict }) => verdict === "reject")) {
    throws(() => openCheckpoint(folder + file), /tensor "[ab]"/, file);
  }
});

Deno.test("a file of another format is called what it is", () => {
  throws(() => openCheckpoint(folder + "pickle_checkpoint.safetensors"), /PyTorch pickle/);
  throws(() => openCheckpoint(folder + "zip_checkpoint.safetensors"), /PyTorch pickle/);
  throws(() => openCheckpoint(folder + "gguf_file.safetensors"), /GGUF/);
  throws(() => openCheckpoint(folder + "html_error_page.safetensors"), /web page/);
  throws(() => openCheckpoint(folder + "git_lfs_pointer.safetensors"), /git lfs pull/);
});

Deno.test("500 random mutations of a good file open, or are refused with a CheckpointError", () => {
  const good = Deno.readFileSync(folder + "ok_metadata_and_tensor.safetensors");
  const path = Deno.makeTempFileSync({ suffix: ".safetensors" });
  const mutation = fc.oneof(
    fc.record({ at: fc.nat(good.length - 1), cut: fc.nat(4), put: fc.uint8Array({ maxLength: 4 }) }),
    fc.record({
      at: fc.integer({ min: 8, max: 100 }),
      cut: fc.nat(4),
      put: fc.constantFrom("{", "}", "[", "]", '"', ",", "1e9", "-1", "\\ud800", "null", '"a":').map((text) =>
        new TextEncoder().encode(text)
      ),
    }),
  );
  try {
    fc.assert(
      fc.property(fc.array(mutation, { minLength: 1, maxLength: 4 }), fc.boolean(), (mutations, map) => {
        let bytes = [...good];
        for (const { at, cut, put } of mutations) bytes = bytes.toSpliced(at, cut, ...put);
        Deno.writeFileSync(path, Uint8Array.from(bytes));
        try {
          using checkpoint = openCheckpoint(path, { map });
          for (const name of checkpoint.tensors.keys()) checkpoint.bytes(name);
        } catch (error) {
          if (!(error instanceof CheckpointError)) throw error;
        }
      }),
      { numRuns: 500, seed: 1 },
    );
  } finally {
    Deno.removeSync(path);
  }
});

Deno.test("the time to refuse a hostile header grows with its length, not with its square", () => {
  const path = Deno.makeTempFileSync({ suffix: ".safetensors" });
  const bodies = [
    (length: number) => `{"${"\\n".repeat(length / 2)}":1}`,
    (length: number) => `{"a":{"shape":[${"1".repeat(length)}]}}`,
    (length: number) => `{"a":{"x":${"1".repeat(length)}}}`,
    (length: number) => `{"a":{"x":[${"0,".repeat(length / 2)}0]}}`,
    (length: number) => `{${'"a":["F32",[1],[0,4]],'.repeat(length / 22)}"b":0}`,
  ];
  const seconds = (text: string) => {
    const json = new TextEncoder().encode(text);
    const bytes = new Uint8Array(8 + json.length);
    new DataView(bytes.buffer).setBigUint64(0, BigInt(json.length), true);
    bytes.set(json, 8);
    Deno.writeFileSync(path, bytes);
    const start = performance.now();
    throws(() => openCheckpoint(path), CheckpointError);
    return (performance.now() - start) / 1000;
  };
  try {
    // Quadratic time would be hours at 4 MB; this allows a slow machine 2.5 µs per byte.
    for (const body of bodies) ok(seconds(body(4_000_000)) < 10, body(40));
  } finally {
    Deno.removeSync(path);
  }
});
