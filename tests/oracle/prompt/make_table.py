"""Writes table.json and chunks.json: what A1111's own functions make of a table of prompts.

    pip install lark torch transformers
    python make_table.py WEBUI

WEBUI is a checkout of AUTOMATIC1111/stable-diffusion-webui, 1.6 or later. Called are, of modules/prompt_parser.py,
get_multicond_prompt_list, get_learned_conditioning_prompt_schedules and parse_prompt_attention, and, of
modules/sd_hijack_clip.py, FrozenCLIPEmbedderWithCustomWordsBase.tokenize_line, over the CLIP vocabulary beside this folder.
No row is stored whose reading depends on the order of Python's sets: a schedule directly before two more brackets is one.
"""
import importlib.util
import json
import os
import sys
import types

import transformers

here = os.path.dirname(os.path.abspath(__file__))
webui = sys.argv[1]


def load(name):
    spec = importlib.util.spec_from_file_location(f"modules.{name}", os.path.join(webui, "modules", f"{name}.py"))
    module = importlib.util.module_from_spec(spec)
    sys.modules[f"modules.{name}"] = module
    setattr(sys.modules["modules"], name, module)
    spec.loader.exec_module(module)
    return module


modules = sys.modules["modules"] = types.ModuleType("modules")
opts = types.SimpleNamespace(emphasis="Original", enable_emphasis=True, comma_padding_backtrack=20)
for name, members in {"shared": {"opts": opts}, "devices": {}, "sd_hijack": {}, "sd_emphasis": {}}.items():
    module = sys.modules[f"modules.{name}"] = types.ModuleType(f"modules.{name}")
    module.__dict__.update(members)
    setattr(modules, name, module)
sys.modules["modules.sd_hijack"].StableDiffusionModelHijack = object
parser = load("prompt_parser")
clip = load("sd_hijack_clip")

PROMPTS = [
    # plain
    "", " ", "a cat", "  a  cat  ", "a cat, a dog", "a\nb", "émigré café", "一只猫", "🐈 cat 🐕", "a:b", "a: b", ":", "1:2:3",
    # emphasis
    "(a)", "((a))", "(((a)))", "a (b) c", "(a:1.3)", "(a:0)", "(a:-1)", "(a:+2)", "(a: 1.3 )", "(a :1.3)", "(a:1.)", "(a:.5)",
    "(a:1e2)", "(a:b)", "(a:b:1.3)", "(a:1.3:b)", "(:1.3)", "()", "(())", "(a b:1.3) c", "((a:1.3) b:0.5)", "(a (b:2) c)",
    "[a]", "[[a]]", "[(a)]", "([a])", "(a [b] c:1.2)", "a [b] (c:1.5) [d] e", "(a)(b)", "(a)[b](c)", "(猫:1.5)", "(é:0.8) ü",
    "a (((house:1.3)) [on] a (hill:0.5), sun, (((sky))).",
    # unbalanced
    "(a", "((a", "[a", "[[a", "a)", "a))", "a]", ")(", "][", "(a]", "[a)", "(a [b)", "[a (b]", "(a:1.3", "a:1.3)", "(a:1.3))",
    "(((a:1.1)", "a (b", "[a:b", "a:b:3]", "((a][:b:c [d:3]", "(a [b:c:3] d",
    # escapes
    "\\(a\\)", "\\[a\\]", "\\\\", "(a\\)", "(a\\):1.3)", "\\(a:1.3)", "a\\", "a\\b", "\\\\(a)", "(\\(a\\):1.2)", "[a\\:b:3]", "[a\\|b|c]",
    "smile \\:)", "\\\\\\(a\\\\\\)",
    # editing
    "[a:b:3]", "[a:b:0.3]", "[a:b:.3]", "[a:b:1.0]", "[a:b:1]", "[a:b:0]", "[a:b:0.0]", "[a:b:20]", "[a:b:-1]", "[a:b:-0.5]",
    "[a:b:1.5]", "[a:b:1e1]", "[a:b:+4]", "[a:3]", "[a::3]", "[:a:3]", "[::3]", "[:3]", "a [b: 3 ]c", "a [b : c : 1] d",
    "[a:b:c]", "[a:b]", "[a:b:3:4]", "[a:b:3x]", "a[b:[c:d:2]:1]e", "[[a:b:2]:c:5]", "[a:[b:[c:d:6]:4]:2]", "a [[[b]]:2]",
    "[(a:2):3]", "[(a:1.2):(b:1.3):5]", "([a:b:4]:1.3)", "[a:b:0.25][c:d:0.75]", "[a\nb:c\nd:5]", "[猫:犬:4]",
    "fantasy landscape with a [mountain:lake:0.25] and [an oak:a christmas tree:0.75][ in foreground::0.6][: in background:0.25] [shoddy:masterful:0.5]",
    # alternation
    "[a|b]", "[a|b|c]", "[a|]", "[|a]", "[|]", "[a||b]", "[fe|]male", "[fe|||]male", "[a|(b:1.1)]", "[a|b:3]", "[a|[b:c:5]]",
    "[[a|b]:c:4]", "[[a|b]|c]", "a|b", "(a|b)", "[a|b", "a|b]", "[a (b|c) d]", "[a [b|c] d]", "([a|b]:1.3)", "[a | b] c",
    # composition
    "a AND b", "a AND b :0.5", "a :1.2 AND b :-0.5", "a AND b AND c :2", "AND", "a AND", "AND b", "a ANDb", "aAND b", "a and b",
    "a:1.5", "a :1.5 ", "a : .5 AND b:3.", "a:x AND b", "(a AND b:1.3)", "[a:b:3] AND [c|d] :0.7", "a AND a", "猫AND犬", "a\nAND\nb :2\n",
    # breaks
    "a BREAK b", "aBREAK b", "BREAK", "a BREAK", "BREAK b", "a BREAK BREAK b", "a\nBREAK\nb", "a break b", "(a BREAK b)", "(a BREAK b:1.3)",
    "a, BREAK, b", "BREAK:1.2", "(a) BREAK [b]",
]

WORDS = "red green blue pink grey black white brown orange purple".split()


def words(count, comma=()):
    return " ".join(WORDS[i % 10] + ("," if i in comma else "") for i in range(count))


CHUNKED = [
    "", "a cat", words(74), words(75), words(76), words(75, [70]), words(76, [70]), words(80, [54]), words(80, [53]), words(80, [52]),
    words(80, [10, 40]), words(200), words(200, range(0, 200, 7)), words(151, [73, 74]), "," * 80, ", " * 80, "BREAK", "a BREAK b", "a BREAK",
    "BREAK b", "a BREAK BREAK b", words(80) + " BREAK " + words(3), "(a BREAK b:1.3)", "(" + words(80, [60]) + ":1.3) b",
    words(70) + " (" + words(10) + ":0.5)", words(60) + ", (" + words(20, [3]) + ")", "(a:0) [b] \\(c\\)", "<|endoftext|> a", "猫" * 40, words(149, [74]),
]


def parse(prompt, steps, second=None):
    indexes, texts, _ = parser.get_multicond_prompt_list([prompt])
    return [
        {
            "text": texts[index],
            "weight": weight,
            "schedule": [
                [until, text, parser.parse_prompt_attention(text)]
                for until, text in parser.get_learned_conditioning_prompt_schedules([texts[index]], steps, second)[0]
            ],
        }
        for index, weight in indexes[0]
    ]


def chunks():
    tokenizer = transformers.CLIPTokenizer.from_pretrained(os.path.join(here, "..", "models", "tokenizer"))
    model = object.__new__(clip.FrozenCLIPEmbedderWithCustomWordsBase)
    database = types.SimpleNamespace(find_embedding_at_position=lambda tokens, position: (None, None))
    model.__dict__.update(
        chunk_length=75,
        comma_token=tokenizer.get_vocab()[",</w>"],
        id_start=tokenizer.bos_token_id,
        id_end=tokenizer.eos_token_id,
        id_pad=tokenizer.eos_token_id,
        hijack=types.SimpleNamespace(embedding_db=database),
        tokenize=lambda texts: tokenizer(texts, truncation=False, add_special_tokens=False)["input_ids"],
    )
    for prompt in CHUNKED:
        found, _ = model.tokenize_line(prompt)
        yield {"prompt": prompt, "chunks": [{"tokens": each.tokens, "weights": each.multipliers} for each in found]}


def write(name, rows):
    with open(os.path.join(here, name), "w", encoding="utf-8") as file:
        file.write("[\n" + ",\n".join(json.dumps(row, ensure_ascii=False, separators=(",", ":")) for row in rows) + "\n]\n")


table = [{"prompt": prompt, "steps": 10, "parts": parse(prompt, 10)} for prompt in PROMPTS]
SECOND = ["a", "[a:b:3]", "[a:b:0.5]", "[a:b:1.5]", "[a:b:13]", "[a:b:1.25][c:d:12]", "[a|b]", "a [b:c:2.0]"]
table += [{"prompt": prompt, "steps": 8, "firstPass": 10, "parts": parse(prompt, 10, 8)} for prompt in SECOND]
write("table.json", table)
write("chunks.json", chunks())
print(f"{len(table)} prompts, {len(CHUNKED)} chunked")
