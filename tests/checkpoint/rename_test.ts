import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { fitsShape, renameFor } from "../../src/checkpoint/rename.ts";

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

Deno.test("fitsShape() sets ones at the end aside, and nothing else", () => {
  strictEqual(fitsShape([64, 64, 1, 1], [64, 64]), true);
  strictEqual(fitsShape([64, 64], [64, 64, 1, 1]), true);
  strictEqual(fitsShape([], [1]), true);
  strictEqual(fitsShape([64, 64], [64, 32]), false);
  strictEqual(fitsShape([64, 64, 3, 3], [64, 64]), false);
  strictEqual(fitsShape([1, 64], [64]), false);
});
