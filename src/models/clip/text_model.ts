/** CLIP's text encoder (Radford et al. 2021), as transformers' CLIPTextModel. */
import type { Value } from "../../graph/graph.ts";
import { Embedding, LayerNorm, Linear } from "../../nn/layers.ts";
import { Module } from "../../nn/module.ts";
import { attention } from "../../ops/attention.ts";
import { add, gelu, quickGelu } from "../../ops/elementwise.ts";
import { ConfigReader } from "../config.ts";

/** Fields of text_encoder/config.json that shape the network. */
export interface TextConfig {
  vocab_size: number;
  hidden_size: number;
  intermediate_size: number;
  num_hidden_layers: number;
  num_attention_heads: number;
  max_position_embeddings: number;
  hidden_act: "quick_gelu" | "gelu";
  layer_norm_eps: number;
}

export function readTextConfig(config: unknown, component = "text_encoder"): TextConfig {
  const read = new ConfigReader(config, component);
  return {
    vocab_size: read.integer("vocab_size", 49408),
    hidden_size: read.integer("hidden_size"),
    intermediate_size: read.integer("intermediate_size"),
    num_hidden_layers: read.integer("num_hidden_layers"),
    num_attention_heads: read.integer("num_attention_heads"),
    max_position_embeddings: read.integer("max_position_embeddings", 77),
    hidden_act: read.choice("hidden_act", ["quick_gelu", "gelu"], "quick_gelu"),
    layer_norm_eps: read.number("layer_norm_eps", 1e-5),
  };
}

class CLIPAttention extends Module {
  q_proj: Linear;
  k_proj: Linear;
  v_proj: Linear;
  out_proj: Linear;
  readonly #heads: number;

  constructor({ hidden_size, num_attention_heads }: TextConfig) {
    super();
    this.q_proj = new Linear(hidden_size, hidden_size);
    this.k_proj = new Linear(hidden_size, hidden_size);
    this.v_proj = new Linear(hidden_size, hidden_size);
    this.out_proj = new Linear(hidden_size, hidden_size);
    this.#heads = num_attention_heads;
  }

  forward(x: Value): Value {
    const [q, k, v] = [this.q_proj.forward(x), this.k_proj.forward(x), this.v_proj.forward(x)];
    return this.out_proj.forward(attention(q, k, v, { heads: this.#heads, causal: true }));
  }
}

class CLIPMLP extends Module {
  fc1: Linear;
  fc2: Linear;
  readonly #activation: (x: Value) => Value;

  constructor({ hidden_size, intermediate_size, hidden_act }: TextConfig) {
    super();
    this.fc1 = new Linear(hidden_size, intermediate_size);
    this.fc2 = new Linear(intermediate_size, hidden_size);
    this.#activation = hidden_act === "gelu" ? gelu : quickGelu;
  }

  forward(x: Value): Value {
    return this.fc2.forward(this.#activation(this.fc1.forward(x)));
  }
}

class CLIPEncoderLayer extends Module {
  layer_norm1: LayerNorm;
  self_attn: CLIPAttention;
  layer_norm2: LayerNorm;
  mlp: CLIPMLP;

  constructor(config: TextConfig) {
    super();
    const norm = () => new LayerNorm(config.hidden_size, { epsilon: config.layer_norm_eps });
    this.layer_norm1 = norm();
    this.self_attn = new CLIPAttention(config);
    this.layer_norm2 = norm();
    this.mlp = new CLIPMLP(config);
  }

  forward(x: Value): Value {
    const h = add(x, this.self_attn.forward(this.layer_norm1.forward(x)));
    return add(h, this.mlp.forward(this.layer_norm2.forward(h)));
  }
}

class CLIPEncoder extends Module {
  layers: CLIPEncoderLayer[];

  constructor(config: TextConfig) {
    super();
    this.layers = Array.from({ length: config.num_hidden_layers }, () => new CLIPEncoderLayer(config));
  }
}

class CLIPTextEmbeddings extends Module {
  token_embedding: Embedding;
  position_embedding: Embedding;

  constructor(config: TextConfig) {
    super();
    this.token_embedding = new Embedding(config.vocab_size, config.hidden_size);
    this.position_embedding = new Embedding(config.max_position_embeddings, config.hidden_size);
  }
}

class CLIPTextTransformer extends Module {
  embeddings: CLIPTextEmbeddings;
  encoder: CLIPEncoder;
  final_layer_norm: LayerNorm;

  constructor(config: TextConfig) {
    super();
    this.embeddings = new CLIPTextEmbeddings(config);
    this.encoder = new CLIPEncoder(config);
    this.final_layer_norm = new LayerNorm(config.hidden_size, { epsilon: config.layer_norm_eps });
  }
}

export class CLIPTextModel extends Module {
  text_model: CLIPTextTransformer;

  constructor(readonly config: TextConfig) {
    super();
    this.text_model = new CLIPTextTransformer(config);
  }

  /**
   * `ids` [images, length, 1] of u32 to hidden states [images, length, hidden_size]: the embeddings, then each layer's
   * output, before the final norm. Ids beyond the vocabulary are rows of `vectors` [count, hidden_size].
   */
  hiddenStates(ids: Value, { vectors }: { vectors?: Value } = {}): Value[] {
    const { token_embedding, position_embedding } = this.text_model.embeddings;
    const states = [token_embedding.forward(ids, position_embedding, vectors)];
    for (const layer of this.text_model.encoder.layers) states.push(layer.forward(states.at(-1)!));
    return states;
  }

  /** The conditioning: the last hidden state, or the one `skip` layers before it, after the final norm. */
  forward(ids: Value, { skip = 0, vectors }: { skip?: number; vectors?: Value } = {}): Value {
    return this.text_model.final_layer_norm.forward(this.hiddenStates(ids, { vectors }).at(-1 - skip)!);
  }
}
