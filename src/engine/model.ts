/** A model folder on a device: the three networks, their tokenizer and what the folder says of sampling. */
import type { Json, ModelFolder } from "../checkpoint/folder.ts";
import type { Device } from "../gpu/device.ts";
import type { Target } from "../graph/graph.ts";
import { CLIPTextModel, readTextConfig } from "../models/clip/text_model.ts";
import { readUNetConfig } from "../models/unet/config.ts";
import { UNet2DConditionModel } from "../models/unet/unet.ts";
import { AutoencoderKL } from "../models/vae/autoencoder.ts";
import { readVAEConfig } from "../models/vae/config.ts";
import type { Module } from "../nn/module.ts";
import { loadWeights, type Weights } from "./load.ts";
import type { Precision } from "./protocol.ts";

/** What recording and freezing need besides the network. */
export interface Backend {
  device: Device;
  target: Target;
  /** The VAE's hidden states are as large as the picture, and its norms see many pixels: they are stored as operands are. */
  vaeTarget: Target;
  /** How activations and weights are stored. */
  precision: Precision;
}

/**
 * How kernels are chosen on `device` for a precision.
 * @throws {Error} when the device cannot store f16 and the precision asks for it.
 */
export function createBackend(device: Device, precision: Precision): Backend {
  if (precision === "f16" && !device.f16) throw new Error(`${device.name} has no shader-f16: use precision f32`);
  const { subgroupSize, weightStorage } = device;
  const target: Target = {
    subgroupSize,
    weightStorage,
    weightType: precision,
    operandType: precision,
    hiddenType: "f32",
  };
  return { device, precision, target, vaeTarget: { ...target, hiddenType: precision } };
}

/** A network whose parameters are on the GPU. */
export interface Loaded<Network extends Module> {
  network: Network;
  weights: Weights;
}

/** Loads one component: `create` makes its network from its config. */
async function loadComponent<Network extends Module>(
  { device, target }: Backend,
  folder: ModelFolder,
  name: string,
  create: (config: Json) => Network,
  log: Log = () => {},
): Promise<Loaded<Network>> {
  const component = folder.component(name);
  const network = create(component.config);
  using tensors = component.tensors();
  for (const { path, kind, reason } of tensors.files) {
    if (kind === "read") log(`${path} is read in pieces, not mapped: ${reason}`);
  }
  return { network, weights: await loadWeights(device, target, network, tensors) };
}

/** Takes what is worth telling whoever runs this, a line at a time. */
type Log = (line: string) => void;

export function loadTextEncoder(backend: Backend, folder: ModelFolder, log?: Log): Promise<Loaded<CLIPTextModel>> {
  return loadComponent(backend, folder, "text_encoder", (config) => new CLIPTextModel(readTextConfig(config)), log);
}

export function loadUNet(backend: Backend, folder: ModelFolder, log?: Log): Promise<Loaded<UNet2DConditionModel>> {
  return loadComponent(backend, folder, "unet", (config) => new UNet2DConditionModel(readUNetConfig(config)), log);
}

export function loadVAE(backend: Backend, folder: ModelFolder, log?: Log): Promise<Loaded<AutoencoderKL>> {
  return loadComponent(backend, folder, "vae", (config) => new AutoencoderKL(readVAEConfig(config)), log);
}

/** The networks of a Stable Diffusion model. */
export class StableDiffusion implements Disposable {
  constructor(
    readonly backend: Backend,
    readonly textEncoder: CLIPTextModel,
    readonly unet: UNet2DConditionModel,
    readonly vae: AutoencoderKL,
    readonly weights: readonly Weights[],
  ) {}

  /** Bytes of weights on the GPU. */
  get weightBytes(): number {
    return this.weights.reduce((sum, { bytes }) => sum + bytes, 0);
  }

  [Symbol.dispose](): void {
    for (const weights of this.weights) weights[Symbol.dispose]();
  }
}

/** Loads all three; what was loaded is freed again when one fails. */
export async function loadStableDiffusion(backend: Backend, folder: ModelFolder, log?: Log): Promise<StableDiffusion> {
  using stack = new DisposableStack();
  const textEncoder = await loadTextEncoder(backend, folder, log);
  stack.use(textEncoder.weights);
  const unet = await loadUNet(backend, folder, log);
  stack.use(unet.weights);
  const vae = await loadVAE(backend, folder, log);
  const context = unet.network.config.cross_attention_dim, width = textEncoder.network.config.hidden_size;
  if (context !== width) {
    vae.weights[Symbol.dispose]();
    throw new Error(
      `The model in ${folder.path} does not fit together: the U-Net reads ${context} text channels, the text encoder makes ${width}`,
    );
  }
  stack.move();
  return new StableDiffusion(backend, textEncoder.network, unet.network, vae.network, [
    textEncoder.weights,
    unet.weights,
    vae.weights,
  ]);
}
