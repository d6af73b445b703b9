/** A model from wherever it is: a folder in diffusers' layout or a single file, its VAE perhaps from elsewhere. */
import { CheckpointError } from "./error.ts";
import { isFile, list, readObject } from "./files.ts";
import { type Component, type FolderOptions, type ModelFolder, openFolder, weightFiles } from "./folder.ts";
import { openComponent } from "./component.ts";
import { openSingle, openSingleVAE } from "./single.ts";
import type { Sidecar } from "./sidecar.ts";

/** How to open a model. */
export interface ModelOptions extends FolderOptions {
  /** A VAE to take instead of the model's own: a file, a VAE's folder, or a model with one. */
  vae?: string;
  /** For a single file, what its tensors do not show, instead of what `NAME.json` beside it says. */
  config?: Sidecar;
}

/** Input channels of U-Nets that do more than turn a text into a picture. */
const SPECIAL: Readonly<Record<number, string>> = {
  5: "a depth-to-image model",
  7: "an upscaler",
  8: "an image-editing model",
};

/**
 * Opens the model at `path` for making pictures: its small files and headers, and no weights yet.
 *
 * @example openModel("models/sd15.safetensors", { vae: "models/vae-ft-mse-840000-ema-pruned.safetensors" })
 * @throws {CheckpointError} where there is none, or it is of a family that is not run, which the message names
 */
export function openModel(path: string, { vae, config, ...options }: ModelOptions = {}): ModelFolder {
  const model = isFile(path) ? openSingle(path, { map: options.map, config }) : openFolder(path, options);
  if (model.has("text_encoder_2")) refuse(path, "an SDXL or SD3 model");
  if (model.has("transformer")) refuse(path, "a diffusion transformer");
  const unet = model.component("unet").config;
  if ((unet.addition_embed_type ?? null) !== null) refuse(path, "an SDXL model");
  const special = SPECIAL[Number(unet.in_channels)];
  if (special) refuse(path, `${special} (its U-Net takes ${unet.in_channels} channels)`);
  if (!vae) {
    if (!model.has("vae")) throw new CheckpointError(`Cannot open model ${path}: it has no VAE, give one beside it`);
    return model;
  }
  const other = openVAE(vae, options);
  const channels = other.config.latent_channels ?? 4, wanted = latentChannels(Number(unet.in_channels ?? 4));
  if (channels !== wanted) {
    throw new CheckpointError(
      `Cannot use the VAE ${vae} with ${path}: it makes ${channels} latent channels, the U-Net takes ${wanted}`,
    );
  }
  return {
    ...model,
    has: (name) => name === "vae" || model.has(name),
    component: (name) => name === "vae" ? other : model.component(name),
  };
}

/** A VAE by itself: a file, a folder with its config.json, or a model that has one. */
function openVAE(path: string, options: FolderOptions): Component {
  if (isFile(path)) return openSingleVAE(path, options);
  if (!list(path)?.includes("config.json")) return openFolder(path, options).component("vae");
  const config = readObject(`${path}/config.json`), kind = config._class_name ?? "AutoencoderKL";
  if (kind !== "AutoencoderKL") {
    throw new CheckpointError(`Cannot take the VAE from ${path}: it holds a ${kind}, and must hold an AutoencoderKL`);
  }
  const files = weightFiles(path, options.prefer ?? "f16");
  return { name: "vae", config, files, tensors: () => openComponent(files, { map: options.map }) };
}

/** Latent channels of a U-Net: all it takes, or of one for inpainting those beside a mask and as many of a masked picture. */
function latentChannels(inChannels: number): number {
  return inChannels === 9 ? 4 : inChannels;
}

function refuse(path: string, what: string): never {
  throw new CheckpointError(`Cannot open model ${path}: it is ${what}, a text-to-image SD 1.x or 2.x model would do`);
}
