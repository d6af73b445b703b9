/** The models that cases name: model folders, or made from a manifest; and what of them is on the GPU. */
import { dirname, join } from "node:path";
import { CheckpointError } from "../checkpoint/error.ts";
import { type Json, type ModelFolder, openFolder } from "../checkpoint/folder.ts";
import { loadWeights, type Weights } from "../engine/load.ts";
import { type Backend, StableDiffusion } from "../engine/model.ts";
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
  readonly #loaded = new Map<string, Promise<Module>>();
  readonly #weights: Weights[] = [];
  readonly folder: ModelFolder;
  #pipeline?: Pipeline;
  #tokenizer?: ClipTokenizer;

  /** Opens the folder; throws a CheckpointError where it is none. */
  constructor(readonly backend: Backend, path: string) {
    this.folder = openFolder(path);
  }

  textEncoder(name = "text_encoder"): Promise<CLIPTextModel> {
    return this.#load(name, (config) => new CLIPTextModel(readTextConfig(config, name)));
  }

  unet(): Promise<UNet2DConditionModel> {
    return this.#load("unet", (config) => new UNet2DConditionModel(readUNetConfig(config)));
  }

  vae(): Promise<AutoencoderKL> {
    return this.#load("vae", (config) => new AutoencoderKL(readVAEConfig(config)));
  }

  /** The engine's own pipeline over the three. Plans of the last sizes stay with it. */
  async pipeline(): Promise<Pipeline> {
    const networks = [await this.textEncoder(), await this.unet(), await this.vae()] as const;
    return this.#pipeline ??= new Pipeline(new StableDiffusion(this.backend, ...networks, []));
  }

  /** The tokenizer in the model's folder. */
  get tokenizer(): ClipTokenizer {
    return this.#tokenizer ??= loadTokenizer(this.folder.folder("tokenizer"));
  }

  #load<Network extends Module>(name: string, create: (config: Json) => Network): Promise<Network> {
    let network = this.#loaded.get(name) as Promise<Network> | undefined;
    if (!network) this.#loaded.set(name, network = this.#read(name, create));
    return network;
  }

  async #read<Network extends Module>(name: string, create: (config: Json) => Network): Promise<Network> {
    const component = this.folder.component(name), network = create(component.config);
    using tensors = component.tensors();
    this.#weights.push(await loadWeights(this.backend.device, this.backend.target, network, tensors));
    return network;
  }

  [Symbol.dispose](): void {
    this.#pipeline?.[Symbol.dispose]();
    for (const weights of this.#weights) weights[Symbol.dispose]();
  }
}
