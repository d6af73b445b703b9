/** Models of any size with hashed weights, written once: every number is known from its tensor's name. */
import { createHash } from "node:crypto";
import { join } from "node:path";
import { type TensorData, writeSafetensors } from "../checkpoint/write.ts";
import { CLIPTextModel, readTextConfig } from "../models/clip/text_model.ts";
import { readUNetConfig } from "../models/unet/config.ts";
import { UNet2DConditionModel } from "../models/unet/unet.ts";
import { AutoencoderKL } from "../models/vae/autoencoder.ts";
import { readVAEConfig } from "../models/vae/config.ts";
import type { Module } from "../nn/module.ts";
import { weights } from "./hash_weights.ts";
import { exists, type Fields } from "./oracle.ts";

/** The networks that can be written by their component's name, and what diffusers and transformers call their files. */
const NETWORKS: Readonly<Record<string, { file: string; create: (config: Fields) => Module }>> = {
  text_encoder: { file: "model", create: (config) => new CLIPTextModel(readTextConfig(config)) },
  unet: { file: "diffusion_pytorch_model", create: (config) => new UNet2DConditionModel(readUNetConfig(config)) },
  vae: { file: "diffusion_pytorch_model", create: (config) => new AutoencoderKL(readVAEConfig(config)) },
};

/** Whether a component of this name can be written. */
export function isNetwork(component: string): boolean {
  return Object.hasOwn(NETWORKS, component);
}

/** A network of a model: its namespace is MODEL/COMPONENT, as `sd15/unet`. */
export interface Part {
  readonly namespace: string;
  readonly config: Fields;
}

/**
 * Writes the model of these parts in float16 below `cache`, unless that has been done, and returns its folder.
 * `tokenizer` is a folder that is copied where it is there, `texts` are further JSON files by path.
 */
export function hashedModel(
  parts: readonly Part[],
  { cache, tokenizer, texts = {} }: { cache: string; tokenizer: string; texts?: Fields },
): string {
  const unique = [...new Map(parts.map((part) => [part.namespace, part])).values()];
  const name = unique[0].namespace.split("/")[0];
  const files = Object.values(NETWORKS).map(({ file }) => file);
  const version = createHash("sha256").update(JSON.stringify([unique, texts, files])).digest("hex").slice(0, 16);
  const path = join(cache, `${name}-full-${version}`), done = join(path, "model_index.json");
  if (exists(done)) return path;
  const write = (path: string, value: unknown) => Deno.writeTextFileSync(path, JSON.stringify(value, null, 2) + "\n");
  for (const { namespace, config } of unique) {
    const component = namespace.split("/")[1], folder = join(path, component), { file, create } = NETWORKS[component];
    Deno.mkdirSync(folder, { recursive: true });
    write(join(folder, "config.json"), config);
    const tensors = [...create(config).parameters()].map(([path, { shape }]): [string, TensorData] => [
      path,
      { dtype: "f16", shape, data: () => weights(`${namespace}/${path}`, shape) },
    ]);
    // transformers refuses files that do not say this.
    writeSafetensors(join(folder, `${file}.safetensors`), new Map(tensors), { format: "pt" });
  }
  Deno.mkdirSync(join(path, "tokenizer"), { recursive: true });
  for (const { name } of exists(tokenizer) ? Deno.readDirSync(tokenizer) : []) {
    Deno.copyFileSync(join(tokenizer, name), join(path, "tokenizer", name));
  }
  const folders = Object.keys(texts).map((text) => text.split("/")[0]);
  for (const folder of folders) Deno.mkdirSync(join(path, folder), { recursive: true });
  for (const [text, value] of Object.entries(texts)) write(join(path, text), value);
  const index = [...unique.map(({ namespace }) => namespace.split("/")[1]), "tokenizer", ...folders];
  write(done, Object.fromEntries(index.map((name) => [name, ["hashed", name]])));
  return path;
}
