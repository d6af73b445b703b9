/** Single-file checkpoints in the layout of latent-diffusion, as Stable Diffusion 1.x and 2.x are published. */
import { fileURLToPath } from "node:url";
import { ComponentTensors, openComponent } from "./component.ts";
import { deriveTextEncoder, deriveUNet, deriveVAE } from "./derive.ts";
import { CheckpointError, quote } from "./error.ts";
import { recognise } from "./family.ts";
import type { Json } from "./files.ts";
import type { Component, ModelFolder } from "./folder.ts";
import { PICKLE, pickleError } from "./pickle.ts";
import { componentOf, type Rename, renameFor, renameForSingle } from "./rename.ts";
import { type Checkpoint, openCheckpoint } from "./safetensors.ts";
import { readSidecar, type Sidecar } from "./sidecar.ts";

/** How to open a single file. */
export interface SingleOptions {
  /** False reads the file instead of mapping it. */
  map?: boolean;
  /** What its tensors do not show, instead of what `NAME.json` beside it says. */
  config?: Sidecar;
}

/** CLIP's vocabulary, the same in every model: the project's own copy. */
const TOKENIZER = new URL("../../weights/tiny/tokenizer", import.meta.url);

/** Parts of a pipeline, as model_index.json would list them. */
const INDEX: Json = {
  _class_name: "StableDiffusionPipeline",
  unet: ["diffusers", "UNet2DConditionModel"],
  vae: ["diffusers", "AutoencoderKL"],
  text_encoder: ["transformers", "CLIPTextModel"],
  tokenizer: ["transformers", "CLIPTokenizer"],
  scheduler: ["diffusers", "PNDMScheduler"],
};

/**
 * What single files carry besides the three networks, and nothing here uses: averaged weights, parts of training, the
 * noise schedule's tables, marks without a dot in their names.
 */
const EXTRA =
  /^(model_ema|first_stage_model|cond_stage_model|conditioner|embedding_manager|model\.(?!diffusion_model\.)|denoiser)\.|^[^.]+$/;

/**
 * Opens the single file at `path` as if it were a model folder: configs come from its tensors' shapes, the tokenizer is
 * the project's copy of CLIP's, and what `NAME.json` beside it says has the last word. It may lack the VAE, which is then
 * missing when asked for.
 *
 * @throws {CheckpointError} where it is a pickle, no valid file, of another family or no model, or has tensors that no
 * part of a model explains, which it lists
 */
export function openSingle(path: string, { map = true, config }: SingleOptions = {}): ModelFolder {
  if (PICKLE.test(path)) throw pickleError(path);
  using checkpoint = openCheckpoint(path, { map });
  const names = [...checkpoint.tensors.keys()];
  const { what, supported, hint } = recognise(names);
  if (!supported) throw new CheckpointError(`Cannot open model ${path}: it is ${what}; ${hint}`);
  const unexpected = names.filter((name) => !componentOf(name) && !EXTRA.test(name));
  if (unexpected.length > 0) {
    const more = unexpected.length > 8 ? ` and ${unexpected.length - 8} more` : "";
    const list = unexpected.slice(0, 8).map(quote).join(", ");
    throw new CheckpointError(`Cannot open model ${path}: it has tensors that are in no known part: ${list}${more}`);
  }

  const given = config ?? readSidecar(path);
  const renames = new Map(["unet", "vae", "text_encoder"].map((name) => [name, renameForSingle(name, names)]));
  const part = (component: string) => singlePart(checkpoint, renames.get(component)!);
  const unet = part("unet"), text = part("text_encoder"), vae = part("vae");
  if (!text) throw new CheckpointError(`Cannot open model ${path}: it has a U-Net, and no text encoder`);
  // Matrices where SD 1.x has 1×1 convolutions came with SD 2.x, as did OpenCLIP's text encoder and its padding.
  const second = unet?.shapeOf("mid_block.attentions.0.proj_in.weight")?.length === 2;
  const scheduler = schedulerOf(checkpoint, unet?.tensors, second, given.scheduler);
  const side = sampleSize(checkpoint.metadata, scheduler);
  const configs: Readonly<Record<string, Json | undefined>> = {
    unet: unet && deriveUNet({ path, shapeOf: unet.shapeOf, given: { sample_size: side, ...given.unet } }),
    vae: vae && deriveVAE({ path, shapeOf: vae.shapeOf, given: given.vae ?? {} }),
    text_encoder: deriveTextEncoder({ path, shapeOf: text.shapeOf, given: given.text_encoder ?? {} }, {
      openClip: second,
    }),
  };
  const has = (name: string) => name in configs ? configs[name] !== undefined : name in INDEX;
  return {
    path,
    index: INDEX,
    defaults: given.defaults,
    scheduler: JSON.stringify(scheduler),
    padToken: second ? "!" : undefined,
    has,
    folder(name) {
      if (name === "tokenizer") return fileURLToPath(TOKENIZER);
      throw new CheckpointError(`Cannot open ${name} of ${path}: a single file has no folders`);
    },
    component(name): Component {
      const config = configs[name];
      if (!config) throw new CheckpointError(`Cannot open ${name} of ${path}: the file has none`);
      const rename = renames.get(name);
      return { name, config, files: [path], tensors: () => openComponent([path], { map, rename }) };
    },
  };
}

/**
 * The VAE in the file at `path`: alone, in either layout, or part of a single-file model.
 * @throws {CheckpointError} where there is none in it, saying what there is
 */
export function openSingleVAE(path: string, { map = true, config }: SingleOptions = {}): Component {
  if (PICKLE.test(path)) throw pickleError(path);
  using checkpoint = openCheckpoint(path, { map });
  const names = [...checkpoint.tensors.keys()];
  const isPart = names.some((name) => componentOf(name)?.component === "vae");
  const rename = isPart ? renameForSingle("vae", names) : renameFor(names);
  const part = singlePart(checkpoint, rename);
  if (!part?.shapeOf("decoder.conv_in.weight")) {
    throw new CheckpointError(`Cannot take the VAE from ${path}: it is ${recognise(names).what}`);
  }
  const given = (config ?? readSidecar(path)).vae ?? {};
  return {
    name: "vae",
    config: deriveVAE({ path, shapeOf: part.shapeOf, given }),
    files: [path],
    tensors: () => openComponent([path], { map, rename }),
  };
}

/** One component's tensors, or undefined where the file has none of it. They live as long as `checkpoint`. */
function singlePart(checkpoint: Checkpoint, rename: Rename) {
  const tensors = new ComponentTensors([checkpoint], rename);
  if (tensors.names().next().done) return undefined;
  return { tensors, shapeOf: (name: string) => tensors.get(name)?.shape };
}

/** The noise schedule that SD 1.x and 2.x were trained with, and what the U-Net predicts. */
function schedulerOf(checkpoint: Checkpoint, unet: ComponentTensors | undefined, second: boolean, given: Json = {}) {
  return {
    _class_name: "PNDMScheduler",
    beta_start: 0.00085,
    beta_end: 0.012,
    beta_schedule: "scaled_linear",
    num_train_timesteps: 1000,
    trained_betas: null,
    steps_offset: 1,
    set_alpha_to_one: false,
    skip_prk_steps: true,
    clip_sample: false,
    ...(checkpoint.tensors.has("ztsnr") && { rescale_betas_zero_snr: true }),
    prediction_type: given.prediction_type ?? predictionOf(checkpoint, second ? unet : undefined),
    ...given,
  };
}

/**
 * What a U-Net predicts is in no shape. In this order: the header's `modelspec.prediction_type`; a tensor named `v_pred`,
 * which some trainers leave as a mark; for SD 2.x, `unet`, whether a norm of the last attention has the wide spread that
 * v-prediction gave it in the published models (a rule in wide use). All else is epsilon.
 */
function predictionOf({ metadata, tensors }: Checkpoint, unet: ComponentTensors | undefined): string {
  const said = metadata.get("modelspec.prediction_type");
  if (said !== undefined) return /^v/i.test(said) ? "v_prediction" : said;
  if (tensors.has("v_pred")) return "v_prediction";
  const norms = [...unet?.names() ?? []].filter((name) =>
    /^up_blocks\.\d+\.attentions\.\d+\.transformer_blocks\.0\.norm1\.bias$/.test(name)
  );
  const last = norms.toSorted((a, b) => a.localeCompare(b, "en", { numeric: true })).at(-1);
  return last && unet && deviation(unet.floats(last)) > 0.09 ? "v_prediction" : "epsilon";
}

function deviation(values: Float32Array): number {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  return Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length);
}

/** Latents across a picture of the native size: what the header says in pixels, else 768 for v-prediction and 512. */
function sampleSize(metadata: ReadonlyMap<string, string>, { prediction_type }: { prediction_type: unknown }): number {
  const said = Number(metadata.get("modelspec.resolution")?.match(/^(\d{2,4})x\d{2,4}$/)?.[1]);
  if (said > 0 && said % 8 === 0) return said / 8;
  return prediction_type === "v_prediction" ? 96 : 64;
}
