/** The models that cases name: model folders, or made from a manifest; and what of them is on the GPU. */
import { basename, dirname, join } from "node:path";
import { CheckpointError } from "../checkpoint/error.ts";
import { type Json, type ModelFolder, openFolder } from "../checkpoint/folder.ts";
import type { Component, ComponentKind } from "../engine/component.ts";
import { type Backend, openComponent, StableDiffusion } from "../engine/model.ts";
import { Pipeline } from "../engine/pipeline.ts";
import { CLIPTextModel, readTextConfig } from "../models/clip/text_model.ts";
import { readUNetConfig } from "../models/unet/config.ts";
import { UNet2DConditionModel } from "../models/unet/unet.ts";
import { AutoencoderKL } from "../models/vae/autoencoder.ts";
import { readVAEConfig } from "../models/vae/config.ts";
import type { Module } from "../nn/module.ts";
import { type ClipTokenizer, loadTokenizer } from "../tokenizer/clip.ts";
import { NotHere } from "./compare.ts";
import { type Manifest, materialised } from "./materialise.ts";
import { exists } from "./oracle.ts";

/** The models that the project carries. */
const OWN = join(import.meta.dirname!, "..", "..", "weights");
/** What a folder must have to count as a model. */
const NETWORKS = ["text_encoder", "unet", "vae"];

/** Where models are looked for. */
export interface ModelPlaces {
  /** The folder of goldens. */
  root: string;
  /** A folder of model folders, looked through first. */
  models?: string;
  /** Where models are written. */
  cache: string;
  /** Models that are made when asked for, by name: what gives their folder. */
  made: ReadonlyMap<string, () => string>;
}

/**
 * The folder of the model `name`: made, or stored whole below `models`, the goldens, beside them or in the project, or
 * else written from the manifest of that name beside the goldens.
 * Throws {@link NotHere} where there is neither.
 */
export function findModel(name: string, { root, models, cache, made }: ModelPlaces): string {
  const make = made.get(name);
  if (make) return make();
  const places = [join(root, "models"), join(root, "..", "weights"), join(root, ".."), OWN];
  for (const place of models ? [models, ...places] : places) {
    if (isWhole(join(place, name))) return join(place, name);
  }
  const manifests = join(root, "manifests");
  for (const entry of exists(manifests) ? Deno.readDirSync(manifests) : []) {
    if (!entry.name.endsWith(".json")) continue;
    const path = join(manifests, entry.name), manifest: Manifest = JSON.parse(Deno.readTextFileSync(path));
    if (manifest.model === name) return materialised(path, cache, { only: smaller(manifest) });
  }
  throw new NotHere(`there is no model folder or manifest of ${name}; --models DIR says where model folders are`);
}

/** Files with the f16 weights, where every component has such: both kinds hold the same values. */
function smaller({ model, files }: Manifest): string {
  const half = ".fp16.safetensors", folders = new Set<string>(), halves = new Set<string>();
  for (const { path } of files) {
    if (!path.startsWith(`${model}/`)) continue; // other layouts of the same weights
    folders.add(dirname(path));
    if (path.endsWith(half)) halves.add(dirname(path));
  }
  return folders.size === halves.size ? half : "";
}

function isWhole(path: string): boolean {
  try {
    const folder = openFolder(path);
    return NETWORKS.every((name) => folder.component(name).files.length > 0);
  } catch (error) {
    if (error instanceof CheckpointError) return false;
    throw error;
  }
}

/** One model on one device in one precision; each network is loaded when first asked for. */
export class LoadedModel implements Disposable {
  readonly #components = new Map<string, Component>();
  readonly folder: ModelFolder;
  #pipeline?: Pipeline;
  #tokenizer?: ClipTokenizer;

  /** Opens the folder; throws a CheckpointError where it is none. */
  constructor(readonly backend: Backend, readonly path: string) {
    this.folder = openFolder(path);
  }

  textEncoder(name = "text_encoder"): Promise<CLIPTextModel> {
    return loaded(this.#textEncoder(name));
  }

  unet(): Promise<UNet2DConditionModel> {
    return loaded(this.#unet());
  }

  vae(): Promise<AutoencoderKL> {
    return loaded(this.#vae());
  }

  /** The engine's own pipeline over the three. Plans of the last sizes stay with it. */
  pipeline(): Pipeline {
    if (this.#pipeline) return this.#pipeline;
    const components = { textEncoder: this.#textEncoder("text_encoder"), unet: this.#unet(), vae: this.#vae() };
    return this.#pipeline = new Pipeline(new StableDiffusion(basename(this.path), this.backend, components));
  }

  /** The tokenizer in the model's folder. */
  get tokenizer(): ClipTokenizer {
    return this.#tokenizer ??= loadTokenizer(this.folder.folder("tokenizer"));
  }

  #textEncoder(name: string): Component<CLIPTextModel> {
    return this.#component("text_encoder", (config) => new CLIPTextModel(readTextConfig(config, name)), name);
  }

  #unet(): Component<UNet2DConditionModel> {
    return this.#component("unet", (config) => new UNet2DConditionModel(readUNetConfig(config)));
  }

  #vae(): Component<AutoencoderKL> {
    return this.#component("vae", (config) => new AutoencoderKL(readVAEConfig(config)));
  }

  /** `name` is the component's folder. */
  #component<Network extends Module>(
    kind: ComponentKind,
    create: (config: Json) => Network,
    name: string = kind,
  ): Component<Network> {
    let component = this.#components.get(name) as Component<Network> | undefined;
    if (!component) {
      component = openComponent(this.backend, this.folder, {
        component: name,
        kind,
        model: basename(this.path),
        create,
      });
      this.#components.set(name, component);
    }
    return component;
  }

  [Symbol.dispose](): void {
    this.#pipeline?.[Symbol.dispose]();
    for (const component of this.#components.values()) component[Symbol.dispose]();
  }
}

/** A component's network, its weights on the device. */
async function loaded<Network extends Module>(component: Component<Network>): Promise<Network> {
  await component.load();
  return component.network;
}
