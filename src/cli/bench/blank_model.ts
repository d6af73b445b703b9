/** A model of Stable Diffusion 1.5's size whose weights are all zero: for what depends on sizes alone. */
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type TensorData, writeSafetensors } from "../../checkpoint/write.ts";
import { weightsFolder } from "../../engine/locate.ts";
import { CLIPTextModel, readTextConfig } from "../../models/clip/text_model.ts";
import { readUNetConfig } from "../../models/unet/config.ts";
import { UNet2DConditionModel } from "../../models/unet/unet.ts";
import { AutoencoderKL } from "../../models/vae/autoencoder.ts";
import { readVAEConfig } from "../../models/vae/config.ts";
import type { Module } from "../../nn/module.ts";
import { elements } from "../../tensor/shape.ts";

/** The fields of the published config.json files that shape the networks. */
const configs = {
  text_encoder: { hidden_size: 768, intermediate_size: 3072, num_hidden_layers: 12, num_attention_heads: 12 },
  unet: {
    sample_size: 64,
    block_out_channels: [320, 640, 1280, 1280],
    down_block_types: ["CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"],
    up_block_types: ["UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"],
    cross_attention_dim: 768,
    attention_head_dim: 8,
  },
  vae: { block_out_channels: [128, 256, 512, 512], layers_per_block: 2 },
};

const networks: Readonly<Record<keyof typeof configs, () => Module>> = {
  text_encoder: () => new CLIPTextModel(readTextConfig(configs.text_encoder)),
  unet: () => new UNet2DConditionModel(readUNetConfig(configs.unet)),
  vae: () => new AutoencoderKL(readVAEConfig(configs.vae)),
};

/** Writes the model below `cache` in f16, 2.1 GB, unless it is there; its folder. */
export function blankModel(cache: string): string {
  const path = join(cache, "blank-sd15"), done = join(path, "model_index.json");
  if (exists(done)) return path;
  for (const [name, create] of Object.entries(networks)) {
    const folder = join(path, name);
    Deno.mkdirSync(folder, { recursive: true });
    Deno.writeTextFileSync(join(folder, "config.json"), JSON.stringify(configs[name as keyof typeof configs]));
    const tensors = Array.from(create().parameters(), ([path, { shape }]): [string, TensorData] => [
      path,
      { dtype: "f16", shape, data: () => new Uint16Array(elements(shape)) },
    ]);
    writeSafetensors(join(folder, "model.safetensors"), new Map(tensors));
  }
  const tokenizer = fileURLToPath(new URL("tiny/tokenizer", weightsFolder));
  Deno.mkdirSync(join(path, "tokenizer"), { recursive: true });
  for (const { name } of Deno.readDirSync(tokenizer)) {
    Deno.copyFileSync(join(tokenizer, name), join(path, "tokenizer", name));
  }
  const index = [...Object.keys(configs), "tokenizer"].map((name) => [name, ["blank", name]]);
  Deno.writeTextFileSync(done, JSON.stringify(Object.fromEntries(index)));
  return path;
}

function exists(path: string): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch {
    return false;
  }
}
