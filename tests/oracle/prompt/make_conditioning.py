"""Writes conditioning.safetensors and conditioning.json: what A1111's own code makes of prompts with a text encoder.

    pip install lark torch transformers safetensors
    python make_conditioning.py WEBUI MODEL

WEBUI is a checkout of AUTOMATIC1111/stable-diffusion-webui, 1.6 to 1.8; MODEL the folder of tiny-sd15, written from its
manifest. Called are, of modules/prompt_parser.py, get_multicond_learned_conditioning and reconstruct_multicond_batch, which
call forward of modules/sd_hijack_clip.py's FrozenCLIPEmbedderWithCustomWordsBase, with transformers' CLIPTextModel.
"""
import json
import os
import sys

sys.argv, (webui, model_folder) = sys.argv[:2], sys.argv[1:3]
import torch
import transformers
from safetensors.torch import save_file

import make_table as table

CASES = [
    {"name": "weights", "prompt": "a (red:1.3) cat, [blue] dog (((tall)))", "steps": 5, "calls": [0]},
    {"name": "zero", "prompt": "a (red:0) cat (by the sea:-0.5)", "steps": 5, "calls": [0]},
    {"name": "chunks", "prompt": table.words(60) + ", (" + table.words(30) + ":1.2) BREAK [last]", "steps": 5, "calls": [0]},
    {"name": "schedule", "prompt": "[a (cat:1.5):two dogs:0.5] in [a|the] (garden:0.7)", "steps": 6, "calls": [0, 1, 2, 3, 4, 5]},
    {"name": "growing", "prompt": "a cat [" + table.words(90) + ":3]", "steps": 6, "calls": [0, 3, 4]},
    {"name": "composed", "prompt": "a cat AND " + table.words(90) + " :0.5 AND a (tree:1.4) :-1", "steps": 4, "calls": [0]},
    {"name": "skip", "prompt": "a (red:1.3) cat", "steps": 5, "calls": [0], "clip_skip": 2},
    {"name": "words", "prompt": "a (myword:1.2) of zebra9 and MyWord", "steps": 5, "calls": [0]},
]
WORDS = {"myword": 3, "zebra9": 1}

model = transformers.CLIPTextModel.from_pretrained(os.path.join(model_folder, "text_encoder"), torch_dtype=torch.float32).eval()
text = getattr(model, "text_model", model)
tokenizer = transformers.CLIPTokenizer.from_pretrained(os.path.join(table.here, "..", "models", "tokenizer"))
generator = torch.Generator().manual_seed(1)
vectors = {name: torch.randn(count, model.config.hidden_size, generator=generator) * 0.5 for name, count in WORDS.items()}
ids = {name: tokenizer([name], add_special_tokens=False)["input_ids"][0] for name in WORDS}


class Word:
    def __init__(self, name):
        self.name, self.vec, self.vectors, self.shorthash = name, vectors[name], len(vectors[name]), None


class Database:
    def find_embedding_at_position(self, tokens, offset):
        for name, own in sorted(ids.items(), key=lambda item: -len(item[1])):
            if tokens[offset:offset + len(own)] == own:
                return Word(name), len(own)
        return None, None


class Encoder(table.clip.FrozenCLIPEmbedderWithCustomWordsBase):
    def tokenize(self, texts):
        return tokenizer(texts, truncation=False, add_special_tokens=False)["input_ids"]

    def encode_with_transformers(self, tokens):
        states = model(input_ids=tokens, output_hidden_states=True)
        if self.clip_skip == 1:
            return states.last_hidden_state
        return text.final_layer_norm(states.hidden_states[-self.clip_skip])

    def get_learned_conditioning(self, texts):
        return self(texts)


def embed(module, inputs, output):
    """As EmbeddingsWithFixes of modules/sd_hijack.py."""
    rows = []
    for fixes, row in zip(encoder.hijack.fixes or [[]] * len(output), output):
        for offset, word in fixes:
            count = min(row.shape[0] - offset - 1, word.vec.shape[0])
            row = torch.cat([row[0:offset + 1], word.vec[0:count], row[offset + 1 + count:]])
        rows.append(row)
    return torch.stack(rows)


text.embeddings.token_embedding.register_forward_hook(embed)
table.modules.devices.device = torch.device("cpu")
table.opts.use_old_emphasis_implementation = False
table.opts.textual_inversion_add_hashes_to_infotext = False
table.parser.torch = torch
hijack = table.types.SimpleNamespace(embedding_db=Database(), extra_generation_params={}, fixes=None)
encoder = Encoder(table.types.SimpleNamespace(), hijack)
encoder.comma_token = tokenizer.get_vocab()[",</w>"]
encoder.id_start, encoder.id_end, encoder.id_pad = tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.eos_token_id

tensors = {f"words/{name}": values for name, values in vectors.items()}
with torch.no_grad():
    for case in CASES:
        encoder.clip_skip = case.get("clip_skip", 1)
        made = table.parser.get_multicond_learned_conditioning(encoder, [case["prompt"]], case["steps"])
        for call in case["calls"]:
            parts, stacked = table.parser.reconstruct_multicond_batch(made, call)
            case["weights"] = [weight for _, weight in parts[0]]
            tensors[f"{case['name']}/{call}"] = stacked.contiguous()
save_file(tensors, os.path.join(table.here, "conditioning.safetensors"))
with open(os.path.join(table.here, "conditioning.json"), "w") as file:
    file.write("[\n" + ",\n".join(json.dumps(case) for case in CASES) + "\n]\n")
print({name: list(values.shape) for name, values in tensors.items()})
