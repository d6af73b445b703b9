/** Models of real sizes with hashed weights: their indexes hold configs and keys, so the models are written first. */
import { createHash } from "node:crypto";
import { basename, join } from "node:path";
import { type TensorData, writeSafetensors } from "../checkpoint/write.ts";
import { CLIPTextModel, readTextConfig } from "../models/clip/text_model.ts";
import { readUNetConfig } from "../models/unet/config.ts";
import { UNet2DConditionModel } from "../models/unet/unet.ts";
import { AutoencoderKL } from "../models/vae/autoencoder.ts";
import { readVAEConfig } from "../models/vae/config.ts";
import type { Module } from "../nn/module.ts";
import type { Case } from "./cases.ts";
import { NotHere } from "./compare.ts";
import { pictureCase, tokenizerOf } from "./e2e.ts";
import { weights } from "./hash_weights.ts";
import { casesOf } from "./nets.ts";
import { exists, type Fields, type Fixture, type Goldens, type NetIndex, type PictureIndex } from "./oracle.ts";

/** The networks that can be written, by their component's name. */
const NETWORKS: Readonly<Record<string, (config: Fields) => Module>> = {
  text_encoder: (config) => new CLIPTextModel(readTextConfig(config)),
  unet: (config) => new UNet2DConditionModel(readUNetConfig(config)),
  vae: (config) => new AutoencoderKL(readVAEConfig(config)),
};

/** A network of a full-size model. */
interface Part {
  namespace: string;
  config: Fields;
}

/**
 * The cases of `full/`, and how to make their models. An index without a namespace is a pipeline's; its model is the one
 * whose name its own starts with. Without `run` every case says why it is skipped.
 */
export function fullCases(
  goldens: Goldens,
  { run, cache }: { run: boolean; cache: string },
): { cases: Case[]; models: Map<string, () => string> } {
  const { root, full } = goldens, tokenizer = tokenizerOf(goldens);
  const parts = Map.groupBy(
    full.map(({ index: { namespace, config } }) => ({ namespace, config }))
      .filter(({ namespace }) => Object.hasOwn(NETWORKS, `${namespace}`.split("/")[1])),
    ({ namespace }) => `full/${namespace.split("/")[0]}`,
  );
  const models = new Map([...parts].map(([name, parts]) => [name, () => hashedModel(root, cache, parts)]));
  const cases = full.flatMap((fixture): Case[] => {
    if (fixture.index.namespace) {
      const [model, component] = fixture.index.namespace.split("/");
      return [...casesOf(fixture, `full/${model}`, component)];
    }
    const model = [...models.keys()].find((name) => basename(fixture.id).startsWith(basename(name)));
    return fixture.index.cases.map((one, i) => pictureCase(pictureOf(fixture, one, i, model ?? ""), tokenizer));
  });
  const skipped = cases.map(({ id }): Case => ({
    id,
    on: "host",
    compare: () => {
      throw new NotHere("models of real sizes take gigabytes and minutes; --full runs them");
    },
  }));
  return { cases: run ? cases : skipped, models };
}

/** A pipeline's case with what the index leaves out. */
function pictureOf(
  { id, folder, index }: Fixture<NetIndex>,
  one: Fields,
  i: number,
  model: string,
): Fixture<PictureIndex> {
  const { scheduler, ...fields } = one;
  const picture = {
    name: basename(id),
    mode: "txt2img",
    scheduler_class: scheduler,
    tensors: index.tensors,
    model,
    ...fields,
  };
  return { id: `${id}/${i}`, folder, index: picture as unknown as PictureIndex };
}

/** Writes the model of these parts below `cache`, with the goldens' tokenizer, unless that has been done; its folder. */
function hashedModel(root: string, cache: string, parts: readonly Part[]): string {
  const unique = [...new Map(parts.map((part) => [part.namespace, part])).values()];
  const name = unique[0].namespace.split("/")[0];
  const version = createHash("sha256").update(JSON.stringify(unique)).digest("hex").slice(0, 16);
  const path = join(cache, `${name}-full-${version}`), done = join(path, "model_index.json");
  if (exists(done)) return path;
  for (const { namespace, config } of unique) {
    const component = namespace.split("/")[1], folder = join(path, component);
    Deno.mkdirSync(folder, { recursive: true });
    Deno.writeTextFileSync(join(folder, "config.json"), JSON.stringify(config));
    const tensors = [...NETWORKS[component](config).parameters()].map(([path, { shape }]): [string, TensorData] => [
      path,
      { dtype: "f16", shape, data: () => weights(`${namespace}/${path}`, shape) },
    ]);
    writeSafetensors(join(folder, "model.safetensors"), new Map(tensors));
  }
  const tokenizer = join(root, "models", "tokenizer");
  Deno.mkdirSync(join(path, "tokenizer"), { recursive: true });
  for (const { name } of exists(tokenizer) ? Deno.readDirSync(tokenizer) : []) {
    Deno.copyFileSync(join(tokenizer, name), join(path, "tokenizer", name));
  }
  const index = [...unique.map(({ namespace }) => namespace.split("/")[1]), "tokenizer"];
  Deno.writeTextFileSync(done, JSON.stringify(Object.fromEntries(index.map((name) => [name, ["hashed", name]]))));
  return path;
}
