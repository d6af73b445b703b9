"""Writes brownian.json and image_noise.json: noise as torchsde and A1111 make it.

    pip install torch torchsde
    python make_noise.py WEBUI

Called are numpy.random.SeedSequence; torchsde.BrownianTree, with the arguments that k-diffusion's BrownianTreeNoiseSampler
gives it, and its division by the square root of the interval; and, of WEBUI, a checkout of
AUTOMATIC1111/stable-diffusion-webui 1.6 or later, ImageRNG of modules/rng.py with modules/rng_philox.py.
"""
import importlib.util
import json
import os
import sys
import types

import numpy
import torch
import torchsde

here = os.path.dirname(os.path.abspath(__file__))
webui = sys.argv[1]

SEEDS = [0, 1, 42, 123456789, 4294967295]
# Karras' schedule of SD 1.5 in five steps, rounded to single as a sampler has it, with the middles that DPM++ SDE asks for.
SIGMAS = [float(torch.tensor(sigma)) for sigma in (14.614641, 4.8557363, 1.3086903, 0.2615115, 0.0291671)]
INTERVALS = [(0, 1), (1, 2), (2, 3), (3, 4), (0, 2), (1, 3), (0, 4)]
SHAPES = [[4, 3, 2], [1, 2, 3]]


def floats(tensor):
    return [float(value) for value in tensor.flatten()]


def brownian():
    for seed in SEEDS:
        for shape in SHAPES:
            tree = torchsde.BrownianTree(
                torch.tensor(SIGMAS[-1]), torch.zeros(shape), torch.tensor(SIGMAS[0]), entropy=seed
            )
            for begin, end in INTERVALS:
                start, stop = torch.tensor(SIGMAS[begin]), torch.tensor(SIGMAS[end])
                increment = -tree(stop, start)  # time falls
                yield {
                    "seed": seed,
                    "shape": shape,
                    "from": SIGMAS[begin],
                    "to": SIGMAS[end],
                    "increment": floats(increment),
                    "noise": floats(increment / (stop - start).abs().sqrt()),
                }


def sequences():
    for entropy, key, pool in [(0, (), 4), (42, (0, 0), 24), (2**40 + 7, (5, 3), 24), (4294967295, (2**33, 34), 8), (1, (), 24)]:
        state = numpy.random.SeedSequence(entropy=entropy, spawn_key=key, pool_size=pool).generate_state(5)
        yield {"entropy": str(entropy), "key": list(key), "pool": pool, "state": [int(word) for word in state]}


def image_noise():
    modules = sys.modules["modules"] = types.ModuleType("modules")
    opts = types.SimpleNamespace(randn_source="CPU", eta_noise_seed_delta=0)
    for name, members in {
        "devices": {"device": torch.device("cpu"), "cpu": torch.device("cpu")},
        "shared": {"opts": opts, "device": torch.device("cpu")},
    }.items():
        module = sys.modules[f"modules.{name}"] = types.ModuleType(f"modules.{name}")
        module.__dict__.update(members)
        setattr(modules, name, module)
    for name in ("rng_philox", "rng"):
        spec = importlib.util.spec_from_file_location(f"modules.{name}", os.path.join(webui, "modules", f"{name}.py"))
        module = sys.modules[f"modules.{name}"] = importlib.util.module_from_spec(spec)
        setattr(modules, name, module)
        spec.loader.exec_module(module)
    cases = [
        {},
        {"subseed": 7, "strength": 0.3},
        {"subseed": 7, "strength": 1.0},
        {"subseed": 42, "strength": 0.5},
        {"delta": 31337},
        {"resize": [4, 3]},
        {"resize": [8, 9]},
        {"resize": [5, 9]},
        {"subseed": 3, "strength": 0.25, "resize": [3, 7], "delta": 5},
    ]
    for source in ("CPU", "NV"):
        opts.randn_source = source
        for case in cases:
            opts.eta_noise_seed_delta = case.get("delta", 0)
            height, width = case.get("resize", [0, 0])
            rng = modules.rng.ImageRNG(
                (4, 6, 5), [42], [case.get("subseed", 0)], case.get("strength", 0.0), height * 8, width * 8
            )
            yield {"rng": source.lower(), "seed": 42, "shape": [4, 6, 5], **case, "draws": [floats(rng.next()) for _ in range(2)]}


def write(name, **parts):
    with open(os.path.join(here, name), "w") as file:
        file.write("{\n")
        file.write(",\n".join(
            f'"{key}": [\n' + ",\n".join(json.dumps(row, separators=(",", ":")) for row in rows) + "\n]"
            for key, rows in parts.items()
        ))
        file.write("\n}\n")


write("brownian.json", sequences=sequences(), increments=brownian())
write("image_noise.json", cases=image_noise())
