import { deepStrictEqual, match, ok, strictEqual, throws } from "node:assert/strict";
import { writeSafetensors } from "../../src/checkpoint/write.ts";
import { embeddingFolders, listModels, locateModel, ModelNotFoundError, whyNoModel } from "../../src/engine/locate.ts";

/** Runs `body` with a folder of models: two folders, single files and what is none. */
function withModels(body: (modelsDir: string) => void): void {
  const folder = Deno.makeTempDirSync();
  const scalar = { dtype: "f32", shape: [], data: Float32Array.of(1) } as const;
  const write = (file: string, name: string) => writeSafetensors(`${folder}/${file}`, new Map([[name, scalar]]));
  try {
    for (const name of ["zebra", "both", "empty"]) Deno.mkdirSync(`${folder}/${name}`);
    for (const name of ["zebra", "both"]) Deno.writeTextFileSync(`${folder}/${name}/model_index.json`, "{}");
    write("both.safetensors", "model.diffusion_model.out.0.bias");
    write("single.safetensors", "model.diffusion_model.out.0.bias");
    write("style.safetensors", "lora_unet_x.lora_down.weight");
    Deno.writeTextFileSync(`${folder}/broken.safetensors`, "no");
    Deno.writeTextFileSync(`${folder}/old.ckpt`, "PK");
    body(folder);
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
}

Deno.test("folders and single files with a model are listed, those of the given folder first", () => {
  withModels((modelsDir) => {
    const models = listModels({ modelsDir });
    deepStrictEqual(models.map(({ name }) => name), ["both", "zebra", "single", "tiny"]);
    deepStrictEqual(models.slice(0, 3).map(({ path }) => path), [
      `${modelsDir}/both`,
      `${modelsDir}/zebra`,
      `${modelsDir}/single.safetensors`,
    ]);
    for (const { modified } of models) ok(Number.isInteger(modified) && modified > 1_600_000_000);
  });
  deepStrictEqual(listModels({ modelsDir: "/no/such/folder" }).map(({ name }) => name), ["tiny"]);
});

Deno.test("headers are read once, and again where the file has changed", () => {
  withModels((modelsDir) => {
    const read = new Map<string, boolean>(), names = () => listModels({ modelsDir }, read).map(({ name }) => name);
    const before = names();
    for (const version of read.keys()) {
      if (version.includes("/style.")) read.set(version, true); // what was read is taken at its word
    }
    deepStrictEqual(names(), ["both", "zebra", "single", "style", "tiny"]);
    Deno.utimeSync(`${modelsDir}/style.safetensors`, 1e9, 1e9);
    deepStrictEqual(names(), before);
  });
});

Deno.test("a name leads to the path that is listed under it, and a path to itself", () => {
  withModels((modelsDir) => {
    for (const { name, path } of listModels({ modelsDir })) strictEqual(locateModel(name, { modelsDir }), path);
    for (const file of ["single.safetensors", "old.ckpt"]) {
      strictEqual(locateModel(file, { modelsDir }), `${modelsDir}/${file}`);
      strictEqual(locateModel(`${modelsDir}/${file}`), `${modelsDir}/${file}`);
    }
    strictEqual(
      locateModel("old", { modelsDir }),
      `${modelsDir}/old.ckpt`,
      "so that opening it says how to convert it",
    );
  });
  match(locateModel("tiny"), /weights\/tiny$/);
});

Deno.test("the name of a file that is no model says what the file is, and neither where it is nor what is elsewhere", () => {
  withModels((modelsDir) => {
    const why = (name: string) => whyNoModel(name, { modelsDir }) ?? "";
    strictEqual(why("style"), "style.safetensors is a LoRA, not a model; give the model that it belongs to");
    strictEqual(why("style.safetensors"), why("style"));
    match(why("old"), /^old\.ckpt is a PyTorch pickle, .*: python -c ".*" old\.ckpt old\.safetensors$/);
    strictEqual(why("old.ckpt"), why("old"));
    match(why("broken"), /broken\.safetensors/);
    for (const name of ["style", "old", "broken"]) ok(!why(name).includes(modelsDir), why(name));
    const { length } = modelsDir, folder = modelsDir.slice(modelsDir.lastIndexOf("/") + 1, length);
    for (const name of ["", "none", "empty", "single", "zebra", ".", "..", `${modelsDir}/old`, `../${folder}/old`]) {
      strictEqual(why(name), "", name);
    }
  });
});

Deno.test("a name or path that leads nowhere is an error that lists the names", () => {
  withModels((modelsDir) => {
    for (const name of ["sd15", ""]) {
      throws(() => locateModel(name, { modelsDir }), (error) => {
        ok(error instanceof ModelNotFoundError);
        match(error.message, /a path or one of these names would do: both, zebra, single, tiny$/);
        return true;
      });
    }
  });
  throws(
    () => locateModel("no/such.safetensors"),
    /Cannot find the model no\/such\.safetensors, a folder or file that/,
  );
});

Deno.test("textual inversions are looked for in the named folder, then in `embeddings` beside models, where those are", () => {
  withModels((modelsDir) => {
    const model = `${modelsDir}/zebra`;
    deepStrictEqual(embeddingFolders(model, { modelsDir }), []);
    Deno.mkdirSync(`${modelsDir}/embeddings`);
    Deno.mkdirSync(`${modelsDir}/mine`);
    deepStrictEqual(embeddingFolders(model), [`${modelsDir}/embeddings`]);
    deepStrictEqual(embeddingFolders(model, { modelsDir, embeddingsDir: `${modelsDir}/mine` }), [
      `${modelsDir}/mine`,
      `${modelsDir}/embeddings`,
    ]);
  });
});
