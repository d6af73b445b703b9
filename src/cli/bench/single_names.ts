/** The names that Stable Diffusion 1.x's single files have: the reverse of src/checkpoint/rename.ts, for peers that read no folders. */
import type { Shape } from "../../tensor/shape.ts";

type Rule = readonly [pattern: RegExp, replacement: string | ((match: string, ...groups: string[]) => string)];

const RESNET: readonly Rule[] = [
  [/\.norm1(?=\.\w+$)/, ".in_layers.0"],
  [/\.conv1(?=\.)/, ".in_layers.2"],
  [/\.time_emb_proj(?=\.)/, ".emb_layers.1"],
  [/\.norm2(?=\.\w+$)/, ".out_layers.0"],
  [/\.conv2(?=\.)/, ".out_layers.3"],
  [/\.conv_shortcut(?=\.)/, ".skip_connection"],
];

/** A level of the encoder is `layers` blocks and a resampling; one of the decoder has a block more instead. */
function unetRules(layers: number, attends: readonly boolean[]): Rule[] {
  const at = (level: string, block: number) => +level * (layers + 1) + block;
  return [
    [/^conv_in\./, "input_blocks.0.0."],
    [/^time_embedding\.linear_1\./, "time_embed.0."],
    [/^time_embedding\.linear_2\./, "time_embed.2."],
    [/^down_blocks\.(\d)\.resnets\.(\d)/, (_, i, j) => `input_blocks.${at(i, +j + 1)}.0`],
    [/^down_blocks\.(\d)\.attentions\.(\d)/, (_, i, j) => `input_blocks.${at(i, +j + 1)}.1`],
    [/^down_blocks\.(\d)\.downsamplers\.0\.conv/, (_, i) => `input_blocks.${at(i, layers + 1)}.0.op`],
    [/^mid_block\.resnets\.(\d)/, (_, j) => `middle_block.${2 * +j}`],
    [/^mid_block\.attentions\.0/, "middle_block.1"],
    [/^up_blocks\.(\d)\.resnets\.(\d)/, (_, i, j) => `output_blocks.${at(i, +j)}.0`],
    [/^up_blocks\.(\d)\.attentions\.(\d)/, (_, i, j) => `output_blocks.${at(i, +j)}.1`],
    [/^up_blocks\.(\d)\.upsamplers\.0/, (_, i) => `output_blocks.${at(i, layers)}.${attends[+i] ? 2 : 1}`],
    [/^conv_norm_out\./, "out.0."],
    [/^conv_out\./, "out.2."],
  ];
}

/** The decoder counts its `levels` from the picture's size down. */
function vaeRules(levels: number): Rule[] {
  return [
    [/^encoder\.down_blocks\.(\d)\.resnets\./, "encoder.down.$1.block."],
    [/^encoder\.down_blocks\.(\d)\.downsamplers\.0\./, "encoder.down.$1.downsample."],
    [/^decoder\.up_blocks\.(\d)\.resnets\./, (_, i) => `decoder.up.${levels - 1 - +i}.block.`],
    [/^decoder\.up_blocks\.(\d)\.upsamplers\.0\./, (_, i) => `decoder.up.${levels - 1 - +i}.upsample.`],
    [/\.mid_block\.resnets\.(\d)/, (_, j) => `.mid.block_${+j + 1}`],
    [/\.mid_block\.attentions\.0\.group_norm\./, ".mid.attn_1.norm."],
    [/\.mid_block\.attentions\.0\.to_([qkv])\./, ".mid.attn_1.$1."],
    [/\.mid_block\.attentions\.0\.to_out\.0\./, ".mid.attn_1.proj_out."],
    [/\.conv_norm_out\./, ".norm_out."],
    [/\.conv_shortcut\./, ".nin_shortcut."],
  ];
}

/** The name in a single file of a component's parameter `path`. */
export function singleName(component: string, path: string, config: Readonly<Record<string, unknown>>): string {
  switch (component) {
    case "unet": {
      const attends = (config.up_block_types as string[]).map((type) => type.startsWith("CrossAttn"));
      const isResnet = /\.resnets\./.test(path);
      const rules = [...(isResnet ? RESNET : []), ...unetRules(Number(config.layers_per_block ?? 2), attends)];
      return `model.diffusion_model.${renamed(path, rules)}`;
    }
    case "vae":
      return `first_stage_model.${renamed(path, vaeRules((config.block_out_channels as number[]).length))}`;
    default:
      return `cond_stage_model.transformer.${path}`;
  }
}

/** The shape there: the VAE's attention is entered by 1×1 convolutions. */
export function singleShape(component: string, path: string, shape: Shape): Shape {
  const isMatrix = component === "vae" && shape.length === 2 && /\.attentions\.0\.to_/.test(path);
  return isMatrix ? [...shape, 1, 1] : shape;
}

function renamed(path: string, rules: readonly Rule[]): string {
  return rules.reduce(
    (name, [pattern, by]) => typeof by === "string" ? name.replace(pattern, by) : name.replace(pattern, by),
    path,
  );
}
