import { deepStrictEqual } from "node:assert/strict";
import { dirname, join } from "node:path";
import { singleName, singleShape } from "../../src/cli/bench/single_names.ts";
import { openFolder } from "../../src/checkpoint/folder.ts";
import { openCheckpoint } from "../../src/checkpoint/safetensors.ts";
import { materialised, MODEL_CACHE } from "../../src/parity/materialise.ts";

Deno.test("a single file that the bench writes has the names and shapes that published ones have", () => {
  const manifest = join(import.meta.dirname!, "..", "oracle", "manifests", "tiny-sd15.json");
  const written = (only: string) => dirname(materialised(manifest, MODEL_CACHE, { only }));
  const found: Record<string, readonly number[]> = {}, wanted: Record<string, readonly number[]> = {};
  const folder = openFolder(join(written(".fp16.safetensors"), "tiny-sd15"));
  for (const name of ["text_encoder", "unet", "vae"]) {
    const component = folder.component(name);
    using tensors = component.tensors();
    for (const path of tensors.names()) {
      found[singleName(name, path, component.config)] = singleShape(name, path, tensors.get(path)!.shape);
    }
  }
  using single = openCheckpoint(join(written(".single"), "tiny-sd15.single.safetensors"));
  for (const { name, shape } of single.tensors.values()) {
    if (/^(model\.diffusion_model|first_stage_model|cond_stage_model)\./.test(name)) wanted[name] = shape;
  }
  deepStrictEqual(found, wanted);
});
