import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { componentOf, expandBraces, fitsShape, renameFor, renameForSingle } from "../../src/checkpoint/rename.ts";

Deno.test("a text encoder's tensors get the prefix that newly written files lack", () => {
  const file = ["embeddings.token_embedding.weight", "encoder.layers.0.mlp.fc1.bias", "final_layer_norm.weight"];
  const published = file.map((name) => `text_model.${name}`);
  deepStrictEqual(file.map(renameFor(file)), published);
  deepStrictEqual(published.map(renameFor(published)), published);
  deepStrictEqual(file.map(renameFor(published)), published, "a query without the prefix finds the prefixed tensor");
  strictEqual(renameFor(file)("text_projection.weight"), "text_projection.weight");
});

Deno.test("a VAE's encoder is not taken for a text encoder's", () => {
  const names = ["encoder.conv_in.weight", "decoder.conv_in.weight"];
  deepStrictEqual(names.map(renameFor(names)), names);
});

Deno.test("the attention names of early VAE files become the current ones", () => {
  const rename = renameFor([]);
  const block = "decoder.mid_block.attentions.0";
  deepStrictEqual(
    ["query.weight", "key.bias", "value.weight", "proj_attn.bias", "group_norm.weight"]
      .map((name) => rename(`${block}.${name}`)),
    ["to_q.weight", "to_k.bias", "to_v.weight", "to_out.0.bias", "group_norm.weight"].map((name) => `${block}.${name}`),
  );
});

Deno.test("a U-Net's numbered blocks become levels of layers, as many as lie before the first downsampling", () => {
  const names = (layers: number) => ["input_blocks.0.0.weight", `input_blocks.${layers + 1}.0.op.weight`];
  const cases: [layers: number, from: string, to: string][] = [
    [2, "input_blocks.0.0.weight", "conv_in.weight"],
    [2, "input_blocks.2.0.in_layers.2.bias", "down_blocks.0.resnets.1.conv1.bias"],
    [2, "input_blocks.3.0.op.bias", "down_blocks.0.downsamplers.0.conv.bias"],
    [2, "input_blocks.11.0.emb_layers.1.bias", "down_blocks.3.resnets.1.time_emb_proj.bias"],
    [2, "output_blocks.2.1.conv.weight", "up_blocks.0.upsamplers.0.conv.weight"],
    [2, "output_blocks.8.2.conv.weight", "up_blocks.2.upsamplers.0.conv.weight"],
    [2, "output_blocks.11.1.proj_in.weight", "up_blocks.3.attentions.2.proj_in.weight"],
    [1, "output_blocks.7.0.skip_connection.weight", "up_blocks.3.resnets.1.conv_shortcut.weight"],
    [1, "input_blocks.3.1.norm.weight", "down_blocks.1.attentions.0.norm.weight"],
    [3, "input_blocks.5.0.out_layers.3.weight", "down_blocks.1.resnets.0.conv2.weight"],
    [2, "middle_block.2.out_layers.0.weight", "mid_block.resnets.1.norm2.weight"],
    [2, "time_embed.2.weight", "time_embedding.linear_2.weight"],
    [2, "out.0.weight", "conv_norm_out.weight"],
    [
      2,
      "input_blocks.1.1.transformer_blocks.0.ff.net.0.proj.bias",
      "down_blocks.0.attentions.0.transformer_blocks.0.ff.net.0.proj.bias",
    ],
  ];
  for (const [layers, from, to] of cases) strictEqual(renameFor(names(layers))(from), to);
});

Deno.test("a VAE's decoder counts its levels the other way round", () => {
  const rename = renameFor(["decoder.up.0.block.0.norm1.weight", "decoder.up.3.block.0.norm1.weight"].concat(
    ["encoder.down.1.block.0.norm1.weight", "encoder.down.2.block.0.norm1.weight"],
  ));
  strictEqual(rename("decoder.up.0.block.2.nin_shortcut.weight"), "decoder.up_blocks.3.resnets.2.conv_shortcut.weight");
  strictEqual(rename("decoder.up.3.upsample.conv.bias"), "decoder.up_blocks.0.upsamplers.0.conv.bias");
  strictEqual(rename("encoder.down.1.downsample.conv.bias"), "encoder.down_blocks.1.downsamplers.0.conv.bias");
  strictEqual(rename("encoder.mid.attn_1.q.weight"), "encoder.mid_block.attentions.0.to_q.weight");
  strictEqual(rename("encoder.norm_out.weight"), "encoder.conv_norm_out.weight");
  strictEqual(rename("quant_conv.weight"), "quant_conv.weight");
});

Deno.test("OpenCLIP's fused projection is three parameters, and its last layer of 24 none", () => {
  const layer = (i: number) => `transformer.resblocks.${i}`;
  const rename = renameFor([`${layer(0)}.ln_1.weight`]);
  const fused = rename(`${layer(22)}.attn.in_proj_weight`)!;
  deepStrictEqual(
    expandBraces(fused),
    ["q", "k", "v"].map((part) => `text_model.encoder.layers.22.self_attn.${part}_proj.weight`),
  );
  strictEqual(rename(`${layer(23)}.ln_1.weight`), undefined);
  strictEqual(rename("text_projection"), undefined);
  strictEqual(rename("positional_embedding"), "text_model.embeddings.position_embedding.weight");
  strictEqual(rename(`${layer(2)}.mlp.c_proj.bias`), "text_model.encoder.layers.2.mlp.fc2.bias");
  deepStrictEqual(expandBraces("a.b"), ["a.b"]);
});

Deno.test("a single file's names belong to the network that their beginning tells, or to none", () => {
  deepStrictEqual(componentOf("model.diffusion_model.out.0.bias"), { component: "unet", inner: "out.0.bias" });
  for (
    const name of [
      "model_ema.diffusion_modelout0bias",
      "first_stage_model.loss.x",
      "first_stage_model.model_ema.x",
      "betas",
    ]
  ) {
    strictEqual(componentOf(name), undefined, name);
  }
  const names = ["cond_stage_model.transformer.final_layer_norm.bias", "first_stage_model.quant_conv.bias"];
  names.push("cond_stage_model.transformer.embeddings.token_embedding.weight");
  deepStrictEqual(names.map(renameForSingle("text_encoder", names)), [
    "text_model.final_layer_norm.bias",
    undefined,
    "text_model.embeddings.token_embedding.weight",
  ]);
});

Deno.test("fitsShape() sets ones at the end aside, and nothing else", () => {
  strictEqual(fitsShape([64, 64, 1, 1], [64, 64]), true);
  strictEqual(fitsShape([64, 64], [64, 64, 1, 1]), true);
  strictEqual(fitsShape([], [1]), true);
  strictEqual(fitsShape([64, 64], [64, 32]), false);
  strictEqual(fitsShape([64, 64, 3, 3], [64, 64]), false);
  strictEqual(fitsShape([1, 64], [64]), false);
});
