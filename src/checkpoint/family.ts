/** What a safetensors file holds, told from its tensors' names alone. */

/** A kind of file: what it is in words, and for those that are no model of their own what to do with it. */
export interface Family {
  /** "a LoRA", "an SDXL model". */
  readonly what: string;
  /** Whether a model can be opened from this file. */
  readonly supported: boolean;
  /** What would do instead, or what is missing; undefined where nothing is to be said. */
  readonly hint?: string;
}

const NO_MODEL = "give the model that it belongs to";
const OTHER = "Stable Diffusion 1.x and 2.x are read";

/** In order: the first family of which a name is found is it. */
const FAMILIES: readonly [pattern: RegExp, family: Family][] = [
  [
    /^lora_(unet|te\d?)_|\.lora_(down|up|A|B)\.|\.lora\.(down|up)\.|_lora\.(down|up)\.|\.(hada_w1|lokr_w1)/,
    { what: "a LoRA, not a model", supported: false, hint: NO_MODEL },
  ],
  [
    /^control_model\.|(^|\.)controlnet_(cond_embedding|down_blocks)\.|^input_hint_block\./,
    { what: "a ControlNet, not a model", supported: false, hint: NO_MODEL },
  ],
  [
    /^(emb_params|string_to_param)/,
    { what: "a textual inversion, not a model", supported: false, hint: NO_MODEL },
  ],
  [/^conditioner\.embedders\.1\.|^(model\.diffusion_model\.)?(label_emb|add_embedding)\./, {
    what: "an SDXL model",
    supported: false,
    hint: OTHER,
  }],
  [/(^|\.)(joint_blocks|pos_embed\.proj)\b/, { what: "an SD3 model", supported: false, hint: OTHER }],
  [/(^|\.)(double_blocks|single_transformer_blocks)\./, { what: "a Flux model", supported: false, hint: OTHER }],
  [/(^|\.)motion_modules\./, { what: "an AnimateDiff motion module, not a model", supported: false, hint: NO_MODEL }],
  [/^model\.diffusion_model\./, { what: "a Stable Diffusion model", supported: true }],
  [/^(input_blocks|down_blocks)\.\d/, {
    what: "a U-Net alone, not a model",
    supported: false,
    hint: "put it into a model folder as unet/diffusion_pytorch_model.safetensors beside its config.json",
  }],
  [/^(first_stage_model\.)?(encoder|decoder)\.(conv_in|mid|mid_block)\./, {
    what: "a VAE alone, not a model",
    supported: false,
    hint: "give it as the VAE of a model",
  }],
  [/^(encoder|decoder)\.(layers\.)?\d+\.(conv\.\d|weight$)/, {
    what: "a TAESD, not a model",
    supported: false,
    hint: NO_MODEL,
  }],
  [/^(cond_stage_model\.|(clip_l\.)?(transformer\.)?(text_model\.)?(embeddings\.token_embedding|token_embedding)\.)/, {
    what: "a text encoder alone, not a model",
    supported: false,
    hint: "put it into a model folder as text_encoder/model.safetensors beside its config.json",
  }],
];

const UNKNOWN: Family = { what: "none of the models that are known here", supported: false, hint: OTHER };

/** What the file with tensors of these names holds. */
export function recognise(names: Iterable<string>): Family {
  const all = [...names];
  return FAMILIES.find(([pattern]) => all.some((name) => pattern.test(name)))?.[1] ?? UNKNOWN;
}
