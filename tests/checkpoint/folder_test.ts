import { deepStrictEqual, ok, strictEqual, throws } from "node:assert/strict";
import { CheckpointError } from "../../src/checkpoint/error.ts";
import { openFolder } from "../../src/checkpoint/folder.ts";
import { writeSafetensors } from "../../src/checkpoint/write.ts";

/** Runs `body` in a new folder with these files, by path; objects are written as JSON, and the folder is removed after. */
function withFolder(files: Record<string, string | object>, body: (path: string) => void): void {
  const folder = Deno.makeTempDirSync();
  try {
    for (const [path, content] of Object.entries(files)) {
      Deno.mkdirSync(`${folder}/${path}`.replace(/\/[^/]*$/, ""), { recursive: true });
      Deno.writeTextFileSync(`${folder}/${path}`, typeof content === "string" ? content : JSON.stringify(content));
    }
    body(folder);
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
}

/** A file of f32 scalars: each name with its value. */
function writeScalars(path: string, values: Record<string, number>): void {
  const tensors = Object.entries(values).map(([name, value]) =>
    [name, { dtype: "f32", shape: [], data: Float32Array.of(value) }] as const
  );
  writeSafetensors(path, new Map(tensors));
}

const model = {
  "model_index.json": {
    _class_name: "StableDiffusionPipeline",
    unet: ["diffusers", "UNet"],
    safety_checker: [null, null],
  },
  "unet/config.json": { in_channels: 4 },
};

Deno.test("the embedded model opens with its configs, defaults and every tensor", () => {
  const folder = openFolder(`${import.meta.dirname}/../../weights/tiny`);
  strictEqual(folder.index._class_name, "StableDiffusionPipeline");
  strictEqual(JSON.parse(folder.scheduler ?? "").prediction_type, "epsilon");
  deepStrictEqual(folder.defaults, {
    width: 128,
    height: 128,
    steps: 8,
    cfg_scale: 3,
    sampler: "dpmpp_2m",
    scheduler: "automatic",
  });
  ok(Deno.statSync(`${folder.folder("tokenizer")}/vocab.json`).isFile);
  const channels = { unet: "in_channels", vae: "latent_channels", text_encoder: "hidden_size" };
  for (const [name, field] of Object.entries(channels)) {
    const component = folder.component(name);
    ok(Number.isInteger(component.config[field]), name);
    using tensors = component.tensors();
    ok([...tensors.names()].length > 50, name);
  }
  using text = folder.component("text_encoder").tensors();
  deepStrictEqual(text.get("text_model.final_layer_norm.weight")?.shape, [48]);
  strictEqual(text.get("final_layer_norm.weight"), text.get("text_model.final_layer_norm.weight"));
  strictEqual(text.get("no.such.tensor"), undefined);
});

Deno.test("the file of the preferred precision is taken, and the other where it is alone", () => {
  withFolder(model, (path) => {
    const plain = "diffusion_pytorch_model.safetensors";
    const half = "diffusion_pytorch_model.fp16.safetensors";
    const taken = (prefer: "f16" | "f32") => openFolder(path, { prefer }).component("unet").files;
    writeScalars(`${path}/unet/${plain}`, { a: 1 });
    deepStrictEqual(taken("f16"), [`${path}/unet/${plain}`]);
    writeScalars(`${path}/unet/${half}`, { a: 1 });
    deepStrictEqual(taken("f16"), [`${path}/unet/${half}`]);
    deepStrictEqual(taken("f32"), [`${path}/unet/${plain}`]);
  });
});

Deno.test("a sharded component is one set of tensors", () => {
  withFolder(model, (path) => {
    writeScalars(`${path}/unet/1.safetensors`, { a: 1, b: 2 });
    writeScalars(`${path}/unet/2.safetensors`, { c: 3 });
    const weight_map = { a: "1.safetensors", b: "1.safetensors", c: "2.safetensors" };
    const index = `${path}/unet/diffusion_pytorch_model.safetensors.index.json`;
    Deno.writeTextFileSync(index, JSON.stringify({ weight_map }));
    using tensors = openFolder(path).component("unet").tensors();
    deepStrictEqual([...tensors.names()].map((name) => [name, ...tensors.floats(name)]), [["a", 1], ["b", 2], [
      "c",
      3,
    ]]);
    deepStrictEqual(tensors.files.map(({ kind }) => kind), ["mmap", "mmap"]);
    const [piece] = [...tensors.pieces("c", 64)];
    strictEqual(piece.offset, 0);

    writeScalars(`${path}/unet/2.safetensors`, { a: 3 });
    throws(
      () => openFolder(path).component("unet").tensors(),
      /Cannot tell which tensor is "a": "a" of .*2\.safetensors and "a" of .*1\.safetensors$/,
    );
  });
});

Deno.test("an index of shards cannot lead out of its folder", () => {
  for (const file of ["../../secret.safetensors", "/etc/x.safetensors", "..\\x.safetensors", "x.bin", 3]) {
    withFolder({ ...model, "unet/model.safetensors.index.json": { weight_map: { a: file } } }, (path) => {
      throws(() => openFolder(path).component("unet"), /is not the name of a safetensors file beside it$/);
    });
  }
  withFolder({ ...model, "unet/model.safetensors.index.json": { weight_map: {} } }, (path) => {
    throws(() => openFolder(path).component("unet"), /its "weight_map" lists no files$/);
  });
});

Deno.test("early VAE names are found under the current ones", () => {
  withFolder(model, (path) => {
    writeScalars(`${path}/unet/model.safetensors`, { "mid.attentions.0.query.weight": 7 });
    using tensors = openFolder(path).component("unet").tensors();
    deepStrictEqual([...tensors.names()], ["mid.attentions.0.to_q.weight"]);
    deepStrictEqual([...tensors.floats("mid.attentions.0.to_q.weight")], [7]);
  });
});

Deno.test("what is missing is an error that says what was looked for", () => {
  const cases: [files: Record<string, string | object>, message: RegExp][] = [
    [
      { "readme.txt": "" },
      /^Cannot open model .*: it has no model_index\.json: a model is a folder in diffusers' layout, or a single saf/,
    ],
    [{ "sd.safetensors": "" }, /it has no model_index\.json, only single files: give one, as .*\/sd\.safetensors$/],
    [{ "sd.ckpt": "" }, /^Cannot load .*\/sd\.ckpt: it is a PyTorch pickle, .* python -c .*sd\.safetensors$/],
    [{ "model_index.json": "{" }, /^Cannot read .*model_index\.json: .*JSON/],
    [{ "model_index.json": "[]" }, /model_index\.json: it is not a JSON object$/],
    [{ "model_index.json": {} }, /^Cannot open unet of .*: model_index\.json does not list it$/],
    [{ "model_index.json": { unet: [null, null] } }, /model_index\.json does not list it$/],
    [{ "model_index.json": model["model_index.json"] }, /^Cannot open .*\/unet: there is no such folder$/],
    [{ ...model, "unet/config.json": "no" }, /^Cannot read .*\/unet\/config\.json: /],
    [
      { ...model, "scheduler/x": "", "model_index.json": { scheduler: ["d", "S"] } },
      /scheduler_config\.json: there is no/,
    ],
    [model, /^Cannot load .*\/unet: it has none of diffusion_pytorch_model\.fp16\.safetensors, /],
    [
      { ...model, "unet/diffusion_pytorch_model.bin": "" },
      /^Cannot load .*\/unet\/diffusion_pytorch_model\.bin: it is a PyTorch pickle, loading it could run any code .* convert it/,
    ],
  ];
  for (const [files, message] of cases) {
    withFolder(files, (path) => {
      throws(() => openFolder(path).component("unet"), (error) => {
        ok(error instanceof CheckpointError, String(error));
        ok(message.test(error.message), error.message);
        return true;
      });
    });
  }
  throws(() => openFolder("/no/such/model"), { message: "Cannot open model /no/such/model: there is no such folder" });
});

Deno.test("a defaults.json may leave fields out, but not be wrong", () => {
  const open = (defaults: object) => {
    let found: unknown;
    withFolder({ ...model, "defaults.json": defaults }, (path) => found = openFolder(path).defaults);
    return found;
  };
  deepStrictEqual(open({}), {});
  deepStrictEqual(open({ steps: 20, width: 512 }), { steps: 20, width: 512 });
  throws(() => open({ width: 7 }), /"width" is 7, not a multiple of 8 above 0$/);
  throws(() => open({ steps: 0 }), /"steps" is 0, not a whole number above 0$/);
  throws(() => open({ cfg_scale: "7" }), /"cfg_scale" is "7", not a number, 0 or more$/);
  throws(() => open({ sampler: "" }), /"sampler" is "", not a name$/);
  throws(() => open({ guidance: 3 }), /it has "guidance", but may only have width, height, steps, cfg_scale, /);
  throws(() => open({ constructor: 3 }), /it has "constructor"/);
});

Deno.test("the index of half-precision shards is taken like a half-precision file", () => {
  withFolder(model, (path) => {
    const files = { plain: ["p-1", "p-2"], half: ["h-1", "h-2"] };
    for (const name of Object.values(files).flat()) writeScalars(`${path}/unet/${name}.safetensors`, { [name]: 1 });
    for (const [kind, end] of [["plain", "json"], ["half", "fp16.json"]] as const) {
      const weight_map = Object.fromEntries(files[kind].map((name) => [name, `${name}.safetensors`]));
      const index = `${path}/unet/diffusion_pytorch_model.safetensors.index.${end}`;
      Deno.writeTextFileSync(index, JSON.stringify({ weight_map }));
    }
    const names = (prefer: "f16" | "f32") => {
      using tensors = openFolder(path, { prefer }).component("unet").tensors();
      return [...tensors.names()];
    };
    deepStrictEqual(names("f16"), files.half);
    deepStrictEqual(names("f32"), files.plain);
  });
});

Deno.test("what no pipeline here runs is passed over, whether it is there or not", () => {
  const parts = { ...model["model_index.json"], safety_checker: ["s", "S"], feature_extractor: ["t", "F"] };
  withFolder({ ...model, "model_index.json": parts, "safety_checker/pytorch_model.bin": "PK" }, (path) => {
    writeScalars(`${path}/unet/model.safetensors`, { a: 1 });
    deepStrictEqual(openFolder(path).component("unet").files, [`${path}/unet/model.safetensors`]);
  });
});
