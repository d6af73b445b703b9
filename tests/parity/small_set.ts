/** A folder of goldens with names of its own, made from those in tests/oracle: what nothing in the tool can know by heart. */
import { dirname, join } from "node:path";
import { openCheckpoint } from "../../src/checkpoint/safetensors.ts";
import { type TensorData, writeSafetensors } from "../../src/checkpoint/write.ts";

export const oracle = join(import.meta.dirname!, "..", "oracle");

/** The names in the small folder. */
export const names = { model: "somebody's model", pictures: "my pictures", picture: "quiet", unsupported: "loud" };

type Fields = Record<string, unknown>;

/**
 * Writes it to `folder`: a manifest, two text encoder cases, one picture, one with a sampler that is not here, and one call of
 * a U-Net of which only keys are stored. `change` may alter any tensor as it is copied.
 */
export function writeSmallSet(
  folder: string,
  change: (fixture: string, tensor: string, data: Float32Array) => void,
): void {
  const { model, pictures, picture, unsupported } = names;
  const write = (path: string, index: unknown) => {
    Deno.mkdirSync(dirname(join(folder, path)), { recursive: true });
    Deno.writeTextFileSync(join(folder, path), JSON.stringify(index));
  };
  const copyTensors = (from: string, to: string) => {
    using source = openCheckpoint(join(oracle, from));
    const tensors = new Map<string, TensorData>();
    for (const [name, { dtype, shape }] of source.tensors) {
      const data = dtype === "f32" ? source.floats(name) : source.bytes(name);
      if (data instanceof Float32Array) change(to, name, data);
      tensors.set(name, { dtype, shape, data });
    }
    writeSafetensors(join(folder, to), tensors);
  };
  const read = (path: string): Fields => JSON.parse(Deno.readTextFileSync(join(oracle, path)));

  const manifest = Deno.readTextFileSync(join(oracle, "manifests/tiny-sd15.json"));
  // Paths and the model are renamed; keys of the hash rule, such as "tiny-sd15/unet", are what the weights are.
  const renamed = JSON.parse(
    manifest,
    (key, value) => key === "path" ? value.replace("tiny-sd15/", `${model}/`) : value,
  );
  const rename = (entries: Fields) =>
    Object.fromEntries(
      Object.entries(entries).map(([path, value]) => [path.replace("tiny-sd15/", `${model}/`), value]),
    );
  write("manifests/whatever.json", { ...renamed, model, texts: rename(renamed.texts), copies: rename(renamed.copies) });
  Deno.mkdirSync(join(folder, "models/tokenizer"), { recursive: true });
  for (const { name } of Deno.readDirSync(join(oracle, "models/tokenizer"))) {
    Deno.copyFileSync(join(oracle, "models/tokenizer", name), join(folder, "models/tokenizer", name));
  }

  const text = read("goldens/tiny-sd15/text_encoder.json");
  write(`goldens/${model}/text_encoder.json`, { ...text, cases: (text.cases as Fields[]).slice(0, 2), tensors: "t" });
  copyTensors("goldens/tiny-sd15/text_encoder.safetensors", `goldens/${model}/t`);

  const nocfg = read("goldens/e2e/txt2img-nocfg.json");
  write(`${pictures}/index.json`, { cases: [picture, unsupported] });
  write(`${pictures}/${picture}.json`, { ...nocfg, name: picture, model, tensors: "p" });
  write(`${pictures}/${unsupported}.json`, { ...nocfg, name: unsupported, model, scheduler_class: "LoudScheduler" });
  Deno.copyFileSync(join(oracle, "goldens/e2e/txt2img-nocfg.png"), join(folder, pictures, `${picture}.png`));
  copyTensors("goldens/e2e/txt2img-nocfg.safetensors", `${pictures}/p`);

  const unet = read("goldens/tiny-sd15/unet.json"), [{ key, timestep, output, sample }] = unet.cases as Fields[];
  Deno.mkdirSync(join(folder, "full"));
  copyTensors("goldens/tiny-sd15/unet.safetensors", "full/u");
  using tensors = openCheckpoint(join(folder, "full/u"));
  const [images, , height, width] = tensors.tensors.get(String(sample))!.shape;
  write("full/keys.json", { ...unet, cases: [{ key, timestep, output, size: [images, height, width] }], tensors: "u" });
}
