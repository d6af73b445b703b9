/** Stable Diffusion 1.5 as far as time goes: its configs, hashed weights, in both layouts, written once. */
import { join } from "node:path";
import { openFolder } from "../../checkpoint/folder.ts";
import { type TensorData, writeSafetensors } from "../../checkpoint/write.ts";
import { hashedModel } from "../../parity/hashed_model.ts";
import { MODEL_CACHE } from "../../parity/materialise.ts";
import { exists } from "../../parity/oracle.ts";
import { singleName, singleShape } from "./single_names.ts";

/** The config.json files of its networks. */
export const configs = {
  unet: {
    _class_name: "UNet2DConditionModel",
    sample_size: 64,
    in_channels: 4,
    out_channels: 4,
    block_out_channels: [320, 640, 1280, 1280],
    down_block_types: ["CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"],
    up_block_types: ["UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"],
    layers_per_block: 2,
    cross_attention_dim: 768,
    attention_head_dim: 8,
  },
  vae: {
    _class_name: "AutoencoderKL",
    block_out_channels: [128, 256, 512, 512],
    down_block_types: Array(4).fill("DownEncoderBlock2D"),
    up_block_types: Array(4).fill("UpDecoderBlock2D"),
    layers_per_block: 2,
    latent_channels: 4,
    sample_size: 512,
    scaling_factor: 0.18215,
  },
  textEncoder: {
    architectures: ["CLIPTextModel"],
    model_type: "clip_text_model",
    vocab_size: 49408,
    hidden_size: 768,
    intermediate_size: 3072,
    num_hidden_layers: 12,
    num_attention_heads: 12,
    max_position_embeddings: 77,
    hidden_act: "quick_gelu",
  },
};

const scheduler = {
  _class_name: "PNDMScheduler",
  beta_start: 0.00085,
  beta_end: 0.012,
  beta_schedule: "scaled_linear",
  num_train_timesteps: 1000,
  set_alpha_to_one: false,
  skip_prk_steps: true,
  steps_offset: 1,
};

/** The model's folder in diffusers' layout. */
export function fullModel(cache = MODEL_CACHE): string {
  return hashedModel(
    [
      { namespace: "sd15/text_encoder", config: configs.textEncoder },
      { namespace: "sd15/unet", config: configs.unet },
      { namespace: "sd15/vae", config: configs.vae },
    ],
    {
      cache,
      tokenizer: join(import.meta.dirname!, "..", "..", "..", "weights", "tiny", "tokenizer"),
      texts: { "scheduler/scheduler_config.json": scheduler },
    },
  );
}

/** The tensors of the model folder `folder` as a single file beside it, in latent-diffusion's layout. */
export function singleFile(folder: string): string {
  const path = `${folder}.safetensors`, draft = `${path}.draft`;
  if (exists(path)) return path;
  using opened = new DisposableStack();
  const tensors = new Map<string, TensorData>(), model = openFolder(folder);
  for (const name of ["text_encoder", "unet", "vae"]) {
    const component = model.component(name), stored = opened.use(component.tensors());
    for (const path of stored.names()) {
      const { dtype, shape, begin, end } = stored.get(path)!;
      const data = () => {
        const whole = new Uint8Array(end - begin);
        for (const { offset, bytes } of stored.pieces(path, 1 << 24)) whole.set(bytes, offset);
        return whole;
      };
      tensors.set(singleName(name, path, component.config), { dtype, shape: singleShape(name, path, shape), data });
    }
  }
  writeSafetensors(draft, tensors);
  Deno.renameSync(draft, path);
  return path;
}
