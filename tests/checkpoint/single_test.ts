import { deepStrictEqual, match, ok, strictEqual, throws } from "node:assert/strict";
import { dirname, join } from "node:path";
import type { ComponentTensors } from "../../src/checkpoint/component.ts";
import { deriveTextEncoder, deriveUNet, deriveVAE } from "../../src/checkpoint/derive.ts";
import type { Component } from "../../src/checkpoint/folder.ts";
import { openFolder } from "../../src/checkpoint/folder.ts";
import { openModel } from "../../src/checkpoint/model.ts";
import { convertCommand } from "../../src/checkpoint/pickle.ts";
import { fitsShape } from "../../src/checkpoint/rename.ts";
import { openCheckpoint } from "../../src/checkpoint/safetensors.ts";
import type { Sidecar } from "../../src/checkpoint/sidecar.ts";
import { type TensorData, writeSafetensors } from "../../src/checkpoint/write.ts";
import { CLIPTextModel, readTextConfig } from "../../src/models/clip/text_model.ts";
import { readUNetConfig } from "../../src/models/unet/config.ts";
import { UNet2DConditionModel } from "../../src/models/unet/unet.ts";
import { AutoencoderKL } from "../../src/models/vae/autoencoder.ts";
import { readVAEConfig } from "../../src/models/vae/config.ts";
import type { Module } from "../../src/nn/module.ts";
import { materialised, MODEL_CACHE } from "../../src/parity/materialise.ts";
import { parseSchedulerJson } from "../../src/samplers/mod.ts";
import type { Shape } from "../../src/tensor/shape.ts";
import { ClipTokenizer, loadTokenizer } from "../../src/tokenizer/clip.ts";

/** What the tiny models' tensors do not show: real ones have 8 heads, or heads 64 wide. */
const CONFIGS: Record<string, Sidecar> = {
  "tiny-sd15": { unet: { attention_head_dim: 4, sample_size: 8 }, text_encoder: { num_attention_heads: 4 } },
  "tiny-sd21": {
    unet: { attention_head_dim: [2, 4, 4, 4], sample_size: 8 },
    text_encoder: { num_attention_heads: 4 },
    scheduler: { prediction_type: "v_prediction" },
  },
};
const readers = { unet: readUNetConfig, vae: readVAEConfig, text_encoder: readTextConfig };

/** The folder with a manifest's files whose paths contain `only`. */
function written(model: string, only: string): string {
  const manifest = join(import.meta.dirname!, "..", "oracle", "manifests", `${model}.json`);
  return dirname(materialised(manifest, MODEL_CACHE, { only }));
}

const folderOf = (model: string) => join(written(model, ".fp16.safetensors"), model);
const singleOf = (model: string) => join(written(model, ".single"), `${model}.single.safetensors`);

/** A tensor's bytes, put together from pieces that end in the middle of rows. */
function bytesOf(tensors: ComponentTensors, name: string): Uint8Array {
  const { begin, end } = tensors.get(name)!;
  const whole = new Uint8Array(end - begin);
  for (const { offset, bytes } of tensors.pieces(name, 100_002)) whole.set(bytes, offset);
  return whole;
}

/** Asserts that two components have the same tensors: names, dtypes, bytes, and shapes that fit each other. */
function sameTensors(found: Component, wanted: Component): void {
  using a = found.tensors();
  using b = wanted.tensors();
  // A buffer that some text encoders carry and no model reads.
  const namesOf = (tensors: ComponentTensors) =>
    [...tensors.names()].filter((name) => !name.endsWith(".position_ids")).toSorted();
  deepStrictEqual(namesOf(a), namesOf(b));
  for (const name of namesOf(b)) {
    const [left, right] = [a.get(name)!, b.get(name)!];
    strictEqual(left.dtype, right.dtype, name);
    ok(fitsShape(left.shape, right.shape), `${name}: [${left.shape}] and [${right.shape}]`);
    deepStrictEqual(bytesOf(a, name), bytesOf(b, name), name);
  }
}

/** Runs `body` in a new folder that is removed after. */
function inFolder(body: (folder: string) => void): void {
  const folder = Deno.makeTempDirSync();
  try {
    body(folder);
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
}

/** How a file is rewritten. */
interface Changes {
  /** Other names; undefined leaves a tensor out. */
  rename?: (name: string) => string | undefined;
  /** Other data by stored name, made from the old as floats. */
  replace?: Record<string, (floats: Float32Array) => TensorData>;
  metadata?: Record<string, string>;
}

/** Writes the tensors of a file with changes. */
function rewrite(from: string, to: string, { rename = (name) => name, replace = {}, metadata }: Changes): void {
  using file = openCheckpoint(from);
  const tensors = new Map<string, TensorData>();
  for (const { name, dtype, shape } of file.tensors.values()) {
    const renamed = rename(name);
    if (renamed === undefined) continue;
    tensors.set(renamed, replace[name]?.(file.floats(name)) ?? { dtype, shape, data: () => file.bytes(name) });
  }
  writeSafetensors(to, tensors, metadata);
}

/** Writes a file with a scalar of each name. */
function writeNames(path: string, names: string[]): void {
  writeSafetensors(path, new Map(names.map((name) => [name, { dtype: "f32", shape: [], data: Float32Array.of(1) }])));
}

for (const model of ["tiny-sd15", "tiny-sd21"]) {
  Deno.test(`the single file of ${model} has exactly the folder's tensors and configs`, () => {
    const single = openModel(singleOf(model), { config: CONFIGS[model] });
    const folder = openFolder(folderOf(model));
    for (const [name, read] of Object.entries(readers)) {
      sameTensors(single.component(name), folder.component(name));
      deepStrictEqual(read(single.component(name).config), read(folder.component(name).config));
    }
    const [found, wanted] = [single, folder].map(({ scheduler }) => parseSchedulerJson(scheduler!));
    for (const key of Object.keys(wanted).filter((key) => !key.startsWith("_"))) {
      strictEqual(found[key], wanted[key], key);
    }
    strictEqual(found.prediction_type, wanted.prediction_type ?? "epsilon");
  });

  Deno.test(`the tokenizer for ${model}'s single file pads as the folder's`, () => {
    const single = openModel(singleOf(model), { config: CONFIGS[model] });
    const own = single.folder("tokenizer");
    const tokenizer = new ClipTokenizer({
      vocab: JSON.parse(Deno.readTextFileSync(`${own}/vocab.json`)),
      merges: Deno.readTextFileSync(`${own}/merges.txt`),
      padToken: single.padToken,
    });
    const wanted = loadTokenizer(`${folderOf(model)}/tokenizer`);
    deepStrictEqual(tokenizer.encode("a red circle!"), wanted.encode("a red circle!"));
  });
}

Deno.test("a text encoder without text_model. in a single file has exactly the folder's tensors", () => {
  inFolder((folder) => {
    rewrite(singleOf("tiny-sd15"), `${folder}/bare.safetensors`, {
      rename: (name) => name.replace("transformer.text_model.", "transformer."),
    });
    const single = openModel(`${folder}/bare.safetensors`, { config: CONFIGS["tiny-sd15"] });
    sameTensors(single.component("text_encoder"), openFolder(folderOf("tiny-sd15")).component("text_encoder"));
  });
});

Deno.test("a text encoder under the other name that SD 2's trainers have for it is the same", () => {
  inFolder((folder) => {
    const path = `${folder}/m.safetensors`, config = CONFIGS["tiny-sd21"];
    rewrite(singleOf("tiny-sd21"), path, {
      rename: (name) => name.replace(/^cond_stage_model\./, "conditioner.embedders.0."),
    });
    const wanted = openFolder(folderOf("tiny-sd21")).component("text_encoder");
    sameTensors(openModel(path, { config }).component("text_encoder"), wanted);
  });
});

Deno.test("a VAE given beside a model replaces its own, whatever layout it is in", () => {
  const model = singleOf("tiny-sd15"), config = CONFIGS["tiny-sd15"];
  const legacy = join(written("tiny-sd15", "vae-legacy"), "tiny-sd15.vae-legacy-names.safetensors");
  const plain = join(written("tiny-sd15", "vae/diffusion_pytorch_model.safetensors"), "tiny-sd15");
  const f32 = openFolder(plain, { prefer: "f32" }).component("vae");
  const f16 = openFolder(folderOf("tiny-sd15")).component("vae");
  inFolder((folder) => {
    const bare = `${folder}/bare.safetensors`, none = `${folder}/none.safetensors`;
    const prefix = "first_stage_model.";
    rewrite(model, bare, { rename: (name) => name.startsWith(prefix) ? name.slice(prefix.length) : undefined });
    rewrite(model, none, { rename: (name) => name.startsWith(prefix) ? undefined : name });
    const given: [vae: string, wanted: Component][] = [
      [legacy, f32],
      [bare, f16],
      [model, f16],
      [folderOf("tiny-sd15"), f16],
      [`${folderOf("tiny-sd15")}/vae`, f16],
    ];
    for (const [vae, wanted] of given) {
      const found = openModel(none, { vae, config }).component("vae");
      sameTensors(found, wanted);
      deepStrictEqual(readVAEConfig(found.config), readVAEConfig(wanted.config), vae);
    }
    throws(() => openModel(none, { config }), /none\.safetensors: it has no VAE, give one beside it$/);
    sameTensors(openModel(folderOf("tiny-sd15"), { vae: legacy }).component("vae"), f32);
    throws(
      () => openModel(model, { vae: `${folderOf("tiny-sd15")}/unet`, config }),
      /^CheckpointError: Cannot take the VAE from .*unet: it holds a UNet2DConditionModel, and must hold an Autoenc/,
    );
    const wide = `${folder}/wide.safetensors`;
    const eight = (): TensorData => ({ dtype: "f32", shape: [64, 8, 3, 3], data: new Float32Array(64 * 8 * 9) });
    rewrite(legacy, wide, { replace: { "decoder.conv_in.weight": eight } });
    throws(() => openModel(model, { vae: wide, config }), /it makes 8 latent channels, the U-Net takes 4$/);
    writeNames(`${folder}/lora.safetensors`, ["lora_unet_x.lora_down.weight"]);
    throws(
      () => openModel(model, { vae: `${folder}/lora.safetensors`, config }),
      /^CheckpointError: Cannot take the VAE from .*lora\.safetensors: it is a LoRA, not a model$/,
    );
  });
});

/** What derives a config from the shapes of a network's parameters. */
function shapesOf(module: Module): (name: string) => Shape | undefined {
  const shapes = new Map([...module.parameters()].map(([path, { shape }]) => [path, shape]));
  return (name) => shapes.get(name);
}

Deno.test("the configs of the published SD 1.5 and 2.1 follow from their tensors' shapes", () => {
  const types = (kinds: string) => [...kinds].map((kind) => kind === "C" ? "CrossAttn" : "");
  const unet = {
    block_out_channels: [320, 640, 1280, 1280],
    down_block_types: types("CCC-").map((kind) => `${kind}DownBlock2D`),
    up_block_types: types("-CCC").map((kind) => `${kind}UpBlock2D`),
    layers_per_block: 2,
  };
  const text = { vocab_size: 49408, max_position_embeddings: 77 };
  const versions = [
    {
      unet: { ...unet, cross_attention_dim: 768, attention_head_dim: 8 },
      text: { ...text, hidden_size: 768, intermediate_size: 3072, num_hidden_layers: 12, num_attention_heads: 12 },
      act: "quick_gelu",
    },
    {
      unet: { ...unet, cross_attention_dim: 1024, attention_head_dim: [5, 10, 20, 20], use_linear_projection: true },
      text: { ...text, hidden_size: 1024, intermediate_size: 4096, num_hidden_layers: 23, num_attention_heads: 16 },
      act: "gelu",
    },
  ];
  for (const { unet, text, act } of versions) {
    const config = readUNetConfig(unet), path = "x.safetensors";
    const shapeOf = shapesOf(new UNet2DConditionModel(config));
    deepStrictEqual(readUNetConfig(deriveUNet({ path, shapeOf, given: {} })), config);
    const textConfig = readTextConfig({ ...text, hidden_act: act });
    const derived = deriveTextEncoder({ path, shapeOf: shapesOf(new CLIPTextModel(textConfig)), given: {} }, {
      openClip: act === "gelu",
    });
    deepStrictEqual(readTextConfig(derived), textConfig);
  }
  const vae = readVAEConfig({ block_out_channels: [128, 256, 512, 512], layers_per_block: 2 });
  const shapeOf = shapesOf(new AutoencoderKL(vae));
  deepStrictEqual(readVAEConfig(deriveVAE({ path: "x", shapeOf, given: {} })), vae);
});

Deno.test("what a U-Net predicts is told by the header, a mark, or what stands beside the file", () => {
  inFolder((folder) => {
    const { unet, text_encoder } = CONFIGS["tiny-sd21"];
    const path = `${folder}/m.safetensors`;
    const opened = (from: string, metadata: Record<string, string>, mark?: string, config?: Sidecar) => {
      // The mark takes the place of a tensor that single files carry and nothing reads.
      rewrite(singleOf(from), path, { rename: (name) => name === "model_ema.decay" ? mark : name, metadata });
      const model = openModel(path, {
        config: config ?? { unet: { attention_head_dim: unet!.attention_head_dim }, text_encoder },
      });
      const { prediction_type, rescale_betas_zero_snr } = parseSchedulerJson(model.scheduler!);
      return [prediction_type, rescale_betas_zero_snr, model.component("unet").config.sample_size];
    };
    deepStrictEqual(opened("tiny-sd21", {}), ["epsilon", undefined, 64], "its norms are narrow");
    deepStrictEqual(opened("tiny-sd21", {}, "v_pred"), ["v_prediction", undefined, 96]);
    deepStrictEqual(opened("tiny-sd21", {}, "ztsnr"), ["epsilon", true, 64]);
    deepStrictEqual(opened("tiny-sd21", { "modelspec.prediction_type": "v" }), ["v_prediction", undefined, 96]);
    deepStrictEqual(
      opened("tiny-sd21", { "modelspec.prediction_type": "epsilon", "modelspec.resolution": "384x384" }, "v_pred"),
      ["epsilon", undefined, 48],
    );
    Deno.writeTextFileSync(`${folder}/m.json`, JSON.stringify({ ...CONFIGS["tiny-sd21"], defaults: { steps: 30 } }));
    const beside = openModel(path);
    strictEqual(parseSchedulerJson(beside.scheduler!).prediction_type, "v_prediction");
    strictEqual(beside.component("unet").config.sample_size, 8);
    deepStrictEqual(beside.defaults, { steps: 30 });

    const { scheduler: _, ...silent } = CONFIGS["tiny-sd21"];
    Deno.writeTextFileSync(`${folder}/m.json`, JSON.stringify(silent));
    for (const [parameterization, prediction] of [["v", "v_prediction"], ["eps", "epsilon"]]) {
      Deno.writeTextFileSync(`${folder}/m.yaml`, `model:\n  params:\n    parameterization: ${parameterization}\n`);
      strictEqual(parseSchedulerJson(openModel(path).scheduler!).prediction_type, prediction);
    }
  });
});

Deno.test("the spread of SD 2's last norm tells v-prediction where nothing else does", () => {
  inFolder((folder) => {
    const path = `${folder}/m.safetensors`;
    const predicted = (model: string, block: number) => {
      const norm = `model.diffusion_model.output_blocks.${block}.1.transformer_blocks.0.norm1.bias`;
      const wider = (floats: Float32Array): TensorData => ({
        dtype: "f32",
        shape: [floats.length],
        data: floats.map((value) => value * 10),
      });
      rewrite(singleOf(model), path, { replace: { [norm]: wider } });
      const config = { ...CONFIGS[model], scheduler: {} };
      return parseSchedulerJson(openModel(path, { config }).scheduler!).prediction_type;
    };
    strictEqual(predicted("tiny-sd21", 7), "v_prediction");
    strictEqual(predicted("tiny-sd21", 6), "epsilon", "another norm");
    strictEqual(predicted("tiny-sd15", 11), "epsilon", "SD 1 predicts the noise");
  });
});

Deno.test("a file of another family is refused by its name", () => {
  const unet = "model.diffusion_model.input_blocks.0.0.weight";
  const cases: [names: string[], message: RegExp][] = [
    [["lora_unet_down_blocks_0.lora_down.weight", "lora_te_x.alpha"], /it is a LoRA, not a model; give the model that/],
    [["unet.mid_block.attn1.to_q.lora_A.weight"], /it is a LoRA, not a model/],
    [["control_model.input_hint_block.0.weight"], /it is a ControlNet, not a model/],
    [["controlnet_cond_embedding.conv_in.weight", "down_blocks.0.x"], /it is a ControlNet, not a model/],
    [["emb_params"], /it is a textual inversion, not a model/],
    [[unet, "conditioner.embedders.1.model.x"], /it is an SDXL model; Stable Diffusion 1\.x and 2\.x are read$/],
    [["model.diffusion_model.joint_blocks.0.x_block.attn.qkv.weight"], /it is an SD3 model/],
    [["double_blocks.0.img_attn.qkv.weight"], /it is a Flux model/],
    [["down_blocks.0.resnets.0.conv1.weight", "conv_in.weight"], /it is a U-Net alone, not a model; put it into/],
    [["encoder.conv_in.weight", "decoder.conv_in.weight"], /it is a VAE alone, not a model; give it as the VAE of/],
    [["first_stage_model.decoder.conv_in.weight"], /it is a VAE alone/],
    [["text_model.embeddings.token_embedding.weight"], /it is a text encoder alone, not a model/],
    [["decoder.layers.0.weight", "decoder.layers.2.conv.0.weight"], /it is a TAESD, not a model/],
    [["x.y"], /it is none of the models that are known here/],
    [[unet], /it has a U-Net, and no text encoder$/],
    [[unet, "a.b", "c.d"], /it has tensors that are in no known part: "a\.b", "c\.d"$/],
    [[unet, ...Array.from({ length: 10 }, (_, i) => `a.${i}`)], /"a\.7" and 2 more$/],
  ];
  inFolder((folder) => {
    for (const [names, message] of cases) {
      writeNames(`${folder}/x.safetensors`, names);
      throws(() => openModel(`${folder}/x.safetensors`), { name: "CheckpointError", message });
    }
    const inpaint = join(written("tiny-sd15-inpaint", ".fp16.safetensors"), "tiny-sd15-inpaint");
    strictEqual(openModel(inpaint).component("unet").config.in_channels, 9);
    Deno.writeTextFileSync(`${folder}/model_index.json`, JSON.stringify({ text_encoder_2: ["transformers", "X"] }));
    throws(() => openModel(folder), /it is an SDXL or SD3 model, a text-to-image SD 1\.x or 2\.x model would do$/);
  });
});

Deno.test("what shapes do not show has to be said beside the file, in known fields", () => {
  inFolder((folder) => {
    const path = `${folder}/m.safetensors`;
    Deno.linkSync(singleOf("tiny-sd21"), path);
    throws(
      () => openModel(path),
      /Cannot tell the heads of the unet in .*: 32 channels are no multiple of 64; say "attention_head_dim" under "unet" in .*\/m\.json$/,
    );
    const said = (text: string) => {
      Deno.writeTextFileSync(`${folder}/m.json`, text);
      return () => openModel(path);
    };
    throws(
      said('{"unet":{"attention_head_dim":2}}'),
      /the heads of the text_encoder .* say "num_attention_heads" under/,
    );
    throws(said('{"U-Net":{}}'), /it has "U-Net", but may only have unet, vae, text_encoder, scheduler, defaults$/);
    throws(said('{"unet":[]}'), /"unet" is not an object of fields$/);
    throws(said('{"defaults":{"steps":0}}'), /"steps" is 0, not a whole number above 0$/);
  });
});

Deno.test("a fused projection that cannot be divided is an error that shows its shape", () => {
  inFolder((folder) => {
    const path = `${folder}/m.safetensors`;
    const fused = "cond_stage_model.model.transformer.resblocks.1.attn.in_proj_bias";
    const odd = (): TensorData => ({ dtype: "f16", shape: [95], data: new Float16Array(95) });
    rewrite(singleOf("tiny-sd21"), path, { replace: { [fused]: odd } });
    throws(
      () => openModel(path, { config: CONFIGS["tiny-sd21"] }),
      /resblocks\.1\.attn\.in_proj_bias" is \[95\], and must have rows for 3$/,
    );
  });
});

Deno.test("a pickle is refused with the command that converts it, which weights/README.md explains", () => {
  inFolder((folder) => {
    const path = `${folder}/it's a model.ckpt`;
    Deno.writeTextFileSync(path, "PK");
    throws(() => openModel(path), (error: Error) => {
      match(error.message, /it's a model\.ckpt: it is a PyTorch pickle, loading it could run any code/);
      ok(error.message.endsWith(convertCommand(path)));
      match(error.message, /it'\\''s a model\.ckpt' '.*it'\\''s a model\.safetensors'$/);
      return true;
    });
  });
  const readme = Deno.readTextFileSync(join(import.meta.dirname!, "..", "..", "weights", "README.md"));
  ok(readme.includes(convertCommand("model.ckpt")));
});
