import { deepStrictEqual, notStrictEqual, ok, strictEqual, throws } from "node:assert/strict";
import { dirname } from "node:path";
import { openFolder } from "../../src/checkpoint/folder.ts";
import { openCheckpoint } from "../../src/checkpoint/safetensors.ts";
import { weights } from "../../src/parity/hash_weights.ts";
import { type Manifest, materialise, materialised } from "../../src/parity/materialise.ts";

const oracle = `${import.meta.dirname}/../oracle`;
const inpaint = `${oracle}/manifests/tiny-sd15-inpaint.json`;

function withFolder(body: (path: string) => void): void {
  const folder = Deno.makeTempDirSync();
  try {
    body(folder);
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
}

function read(manifest: string): Manifest {
  return JSON.parse(Deno.readTextFileSync(manifest));
}

/** The hash of a file that has been written already: what a manifest would say of it. */
function sha256Of(manifest: Manifest, folder: string): string {
  let found = "";
  throws(() => materialise(manifest, folder, { copiesFrom: "" }), (error) => {
    found = /its sha256 is ([0-9a-f]{64})/.exec(String(error))?.[1] ?? "";
    return found !== "";
  });
  return found;
}

Deno.test("materialise() writes a model that opens, its U-Nets with the manifest's sha256", () => {
  withFolder((folder) => {
    materialise(read(inpaint), folder, { only: "unet", copiesFrom: `${oracle}/models` });
    for (const prefer of ["f16", "f32"] as const) {
      const model = openFolder(`${folder}/tiny-sd15-inpaint`, { prefer });
      const unet = model.component("unet");
      strictEqual(unet.config.in_channels, 9);
      using tensors = unet.tensors();
      const { dtype, shape } = tensors.get("conv_in.weight")!;
      deepStrictEqual([dtype, shape], [prefer, [32, 9, 3, 3]]);
      deepStrictEqual(
        tensors.floats("conv_in.weight"),
        Float32Array.from(weights("tiny-sd15-inpaint/unet/conv_in.weight", shape)),
      );
      ok(Deno.statSync(`${model.folder("tokenizer")}/vocab.json`).size > 800_000);
      throws(() => model.component("vae"), /has none of/, "only the U-Net's weights were asked for");
    }
  });
});

Deno.test("materialise() reproduces the single-file and early layouts of the copied manifests", () => {
  for (const [name, only] of [["tiny-sd15", "legacy-names"], ["tiny-sd21", "single"]]) {
    const manifest = read(`${oracle}/manifests/${name}.json`);
    strictEqual(manifest.files.filter(({ path }) => path.includes(only)).length, 1);
    withFolder((folder) => materialise(manifest, folder, { only, copiesFrom: `${oracle}/models` }));
  }
});

Deno.test("materialise() knows every kind of tensor", () => {
  const manifest: Manifest = {
    model: "m",
    files: [{
      path: "m/w.safetensors",
      namespace: "n",
      dtype: "F32",
      sha256: "",
      tensors: [
        { name: "plain.weight", shape: [2, 3] },
        { name: "keyed.weight", shape: [2, 3], key: "n/plain.weight" },
        { name: "reshaped.weight", shape: [2, 3, 1, 1], key: "n/plain.weight", source_shape: [2, 3] },
        { name: "turned", shape: [3, 2], kind: "transpose", key: "n/plain.weight", source_shape: [2, 3] },
        {
          name: "joined.bias",
          shape: [5],
          kind: "concat",
          parts: [{ key: "n/a.bias", shape: [2] }, { key: "n/b.bias", shape: [3] }],
        },
        { name: "ids", shape: [1, 4], kind: "arange" },
        { name: "half", shape: [], kind: "const", value: 0.1, dtype: "F16" },
      ],
    }],
  };
  withFolder((folder) => {
    sha256Of(manifest, folder);
    using file = openCheckpoint(`${folder}/m/w.safetensors`);
    const plain = [...weights("n/plain.weight", [2, 3])];
    for (const name of ["plain.weight", "keyed.weight", "reshaped.weight"]) {
      deepStrictEqual([...file.floats(name)], plain);
    }
    deepStrictEqual(file.tensors.get("reshaped.weight")?.shape, [2, 3, 1, 1]);
    deepStrictEqual([...file.floats("turned")], [0, 3, 1, 4, 2, 5].map((i) => plain[i]));
    deepStrictEqual([...file.floats("joined.bias")], [...weights("n/a.bias", [2]), ...weights("n/b.bias", [3])]);
    deepStrictEqual([file.tensors.get("ids")?.dtype, ...file.floats("ids")], ["i64", 0, 1, 2, 3]);
    deepStrictEqual([file.tensors.get("half")?.dtype, ...file.floats("half")], ["f16", Math.f16round(0.1)]);
  });
});

Deno.test("materialise() refuses other content, unknown kinds and paths that lead out", () => {
  const file = { path: "m/w.safetensors", namespace: "n", dtype: "F16", sha256: "0".repeat(64), tensors: [] } as const;
  const attempt = (changes: object) => () =>
    withFolder((folder) => materialise({ model: "m", files: [{ ...file, ...changes }] }, folder, { copiesFrom: "" }));
  throws(
    attempt({}),
    /^Error: Cannot materialise m\/w\.safetensors: its sha256 is [0-9a-f]{64}, the manifest says 0{64}$/,
  );
  throws(
    attempt({ tensors: [{ name: "x", shape: [1], kind: "sum" }] }),
    /tensor "x" is of the kind "sum", known are hash, concat, transpose, arange, const$/,
  );
  for (const path of ["../w.safetensors", "m/../../w", "/w", "m\\..\\w"]) {
    throws(attempt({ path }), /: the path leads out of the folder$/, path);
  }
});

Deno.test("materialised() writes once, and again for another manifest, and leaves no half of one", () => {
  withFolder((folder) => {
    const manifest: Manifest = {
      model: "m",
      texts: { "m/model_index.json": {} },
      copies: { "m/tokenizer": ["tokenizer/vocab.json"] },
      files: [{
        path: "m/w.safetensors",
        namespace: "n",
        dtype: "F16",
        sha256: "",
        tensors: [{ name: "b", shape: [4] }],
      }],
    };
    const write = (path: string, text: string) => {
      Deno.mkdirSync(dirname(path), { recursive: true });
      Deno.writeTextFileSync(path, text);
    };
    const path = `${folder}/manifests/m.json`;
    const cache = `${folder}/cache`;
    write(`${folder}/models/tokenizer/vocab.json`, "{}");
    write(path, JSON.stringify(manifest));
    throws(() => materialised(path, cache), /its sha256 is/);
    deepStrictEqual([...Deno.readDirSync(cache)], [], "a failure leaves nothing behind");

    const sha256 = sha256Of({ ...manifest, copies: {} }, `${folder}/draft`);
    write(path, JSON.stringify({ ...manifest, files: [{ ...manifest.files[0], sha256 }] }));
    const first = materialised(path, cache);
    strictEqual(Deno.readTextFileSync(`${first}/tokenizer/vocab.json`), "{}");
    const { ino } = Deno.statSync(`${first}/w.safetensors`);
    strictEqual(materialised(path, cache), first);
    strictEqual(Deno.statSync(`${first}/w.safetensors`).ino, ino, "the file was not written again");

    write(`${folder}/models/tokenizer/vocab.json`, '{"a":1}');
    const second = materialised(path, cache);
    notStrictEqual(second, first);
    strictEqual(Deno.readTextFileSync(`${second}/tokenizer/vocab.json`), '{"a":1}');
    strictEqual([...Deno.readDirSync(cache)].length, 2);
  });
});
