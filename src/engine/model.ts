/** A model on a device: its three networks, each of which comes and goes with its weights. */
import type { Json, ModelFolder } from "../checkpoint/folder.ts";
import type { Device } from "../gpu/device.ts";
import type { Target } from "../graph/graph.ts";
import { CLIPTextModel, readTextConfig } from "../models/clip/text_model.ts";
import { readUNetConfig } from "../models/unet/config.ts";
import { UNet2DConditionModel } from "../models/unet/unet.ts";
import { AutoencoderKL } from "../models/vae/autoencoder.ts";
import { readVAEConfig } from "../models/vae/config.ts";
import type { Module } from "../nn/module.ts";
import { elements } from "../tensor/shape.ts";
import { Component, type ComponentKind } from "./component.ts";
import type { Precision } from "./protocol.ts";
import { Residency } from "./residency.ts";

/** What recording and freezing need besides the network. */
export interface Backend {
  device: Device;
  target: Target;
  /** The VAE's hidden states are as large as the picture, and its norms see many pixels: they are stored as operands are. */
  vaeTarget: Target;
  /** How activations and weights are stored. */
  precision: Precision;
  /** What is on the device, and what has to go when there is no more room. */
  residency: Residency;
  /** Called in between where something may take long without an event of its job: all goes well. */
  alive: () => void;
}

/**
 * Bytes of a U-Net, stored in f32, up to which a software adapter is given f32: halves save such a model no time there, and
 * there is room for it.
 */
const smallUNet = 2 ** 28;

/** How the model of `folder` is stored where nobody says: in f16 where the device has it and it gains something. */
export function usualPrecision(device: Device, folder: ModelFolder): Precision {
  if (!device.f16) return "f32";
  if (!device.software) return "f16";
  const unet = new UNet2DConditionModel(readUNetConfig(folder.component("unet").config));
  let bytes = 0;
  for (const [, { shape }] of unet.parameters()) bytes += 4 * elements(shape);
  return bytes > smallUNet ? "f16" : "f32";
}

/**
 * How kernels are chosen on `device` for a precision, and by which `tiles`; how many bytes of its memory may be used at once, and who hears that
 * all goes well.
 * @throws {Error} when the device cannot store f16 and the precision asks for it.
 */
export function createBackend(
  device: Device,
  precision: Precision,
  { budget = Infinity, alive = () => {}, tiles }: {
    budget?: number;
    alive?: () => void;
    tiles?: Target["tiles"];
  } = {},
): Backend {
  const residency = new Residency(device.memory, budget);
  return { device, precision, ...targetsOf(device, precision, tiles), residency, alive };
}

/** The same device and its memory, for a model that is stored otherwise. @throws {Error} as {@link createBackend} does */
export function inPrecision(backend: Backend, precision: Precision): Backend {
  return { ...backend, precision, ...targetsOf(backend.device, precision, backend.target.tiles) };
}

function targetsOf(
  device: Device,
  precision: Precision,
  tiles: Target["tiles"],
): Pick<Backend, "target" | "vaeTarget"> {
  if (precision === "f16" && !device.f16) throw new Error(`${device.name} has no shader-f16, precision f32 would do`);
  const { subgroupSize, weightStorage } = device;
  const target: Target = {
    subgroupSize,
    weightStorage,
    weightType: precision,
    operandType: precision,
    hiddenType: "f32",
    maxBytes: device.maxBinding,
    tiles,
  };
  return { target, vaeTarget: { ...target, hiddenType: precision } };
}

/** Takes what is worth telling whoever runs this, a line at a time. */
type Log = (line: string) => void;

/** One component: `create` makes its network from its config. Nothing is on the device yet. */
export function openComponent<Network extends Module>(
  backend: Backend,
  folder: ModelFolder,
  { component: name, kind, model, log = () => {}, create }: {
    component: string;
    kind: ComponentKind;
    /** What the model is called where components are listed. */
    model: string;
    log?: Log;
    create: (config: Json) => Network;
  },
): Component<Network> {
  const component = folder.component(name);
  let isTold = false;
  const open = () => {
    const tensors = component.tensors();
    for (const { path, kind, reason } of isTold ? [] : tensors.files) {
      if (kind === "read") log(`${path} is read in pieces, not mapped: ${reason}`);
    }
    isTold = true;
    return tensors;
  };
  return new Component(kind, { name: `${model} ${name}`, backend, network: create(component.config), open });
}

/** The components of a Stable Diffusion model. */
export interface Components {
  textEncoder: Component<CLIPTextModel>;
  unet: Component<UNet2DConditionModel>;
  vae: Component<AutoencoderKL>;
}

/** The networks of a Stable Diffusion model. */
export class StableDiffusion implements Disposable {
  constructor(readonly name: string, readonly backend: Backend, readonly components: Components) {}

  get textEncoder(): CLIPTextModel {
    return this.components.textEncoder.network;
  }

  get unet(): UNet2DConditionModel {
    return this.components.unet.network;
  }

  get vae(): AutoencoderKL {
    return this.components.vae.network;
  }

  [Symbol.dispose](): void {
    for (const component of Object.values(this.components)) component[Symbol.dispose]();
  }
}

/**
 * Opens all three and checks that they fit together and their files fit them; their weights are read when needed.
 * @throws {Error} when they do not: see {@link Component.check}.
 */
export function openStableDiffusion(
  backend: Backend,
  folder: ModelFolder,
  { name, log }: { name: string; log?: Log },
): StableDiffusion {
  const open = <Network extends Module>(component: ComponentKind, create: (config: Json) => Network) =>
    openComponent(backend, folder, { component, kind: component, model: name, log, create });
  const components = {
    textEncoder: open("text_encoder", (config) => new CLIPTextModel(readTextConfig(config))),
    unet: open("unet", (config) => new UNet2DConditionModel(readUNetConfig(config))),
    vae: open("vae", (config) => new AutoencoderKL(readVAEConfig(config))),
  };
  for (const component of Object.values(components)) component.check();
  const context = components.unet.network.config.cross_attention_dim;
  const width = components.textEncoder.network.config.hidden_size;
  if (context !== width) {
    throw new Error(
      `The model in ${folder.path} does not fit together: the U-Net reads ${context} text channels, the text encoder makes ${width}`,
    );
  }
  return new StableDiffusion(name, backend, components);
}
