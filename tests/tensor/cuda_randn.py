"""Prints what torch's CUDA generator draws for the seeds and shapes of the command line's JSON: two draws each, as lists."""
import json
import sys

import torch

draws = []
for seed, shape in json.loads(sys.argv[1]):
    generator = torch.Generator("cuda").manual_seed(int(seed))
    draws.append([torch.randn(shape, generator=generator, device="cuda").flatten().tolist() for _ in range(2)])
print(json.dumps(draws))
