"""Times Stable Diffusion's networks in diffusers, for `deno task bench --full --peer diffusers=VENV`.

    python diffusers_peer.py MODEL_FOLDER

On a CPU in float32 with as many threads as torch takes; on a CUDA GPU in float16. Writes one line of JSON that says what
runs. Then it answers each line of JSON that it reads with one: {"load": true} with {"load": ms}, and
{"side": 512, "stages": ["step"]} with {"step": ms}; stages are text, step, decode and encode.
"""

import json
import sys
import time

import diffusers
import torch
import transformers
from diffusers import AutoencoderKL, UNet2DConditionModel
from transformers import CLIPTextModel

diffusers.utils.logging.set_verbosity_error()
transformers.utils.logging.set_verbosity_error()
transformers.utils.logging.disable_progress_bar()

FOLDER = sys.argv[1]
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
DTYPE = torch.float16 if DEVICE == "cuda" else torch.float32


def milliseconds(run):
    if DEVICE == "cuda":
        torch.cuda.synchronize()
    began = time.perf_counter()
    result = run()
    if DEVICE == "cuda":
        torch.cuda.synchronize()
    return (time.perf_counter() - began) * 1000, result


def load():
    text = CLIPTextModel.from_pretrained(f"{FOLDER}/text_encoder", dtype=DTYPE)
    unet = UNet2DConditionModel.from_pretrained(f"{FOLDER}/unet", torch_dtype=DTYPE)
    vae = AutoencoderKL.from_pretrained(f"{FOLDER}/vae", torch_dtype=DTYPE)
    return [network.to(DEVICE).eval() for network in (text, unet, vae)]


@torch.inference_mode()
def run(stage, side, text, unet, vae):
    torch.manual_seed(1)
    options = {"device": DEVICE, "dtype": DTYPE}
    latents = torch.randn(1, 4, side // 8, side // 8, **options)
    if stage == "text":
        ids = torch.full((2, 77), 320, device=DEVICE)
        return milliseconds(lambda: text(ids)[0])[0]
    if stage == "step":
        context = torch.randn(2, 77, unet.config.cross_attention_dim, **options)

        def step():
            predicted = unet(torch.cat([latents] * 2), 500, context).sample
            unconditional, conditional = predicted.chunk(2)
            return latents - 0.1 * (unconditional + 7 * (conditional - unconditional))

        return milliseconds(step)[0]
    if stage == "decode":
        return milliseconds(lambda: vae.decode(latents / vae.config.scaling_factor).sample)[0]
    image = torch.randn(1, 3, side, side, **options)
    return milliseconds(lambda: vae.encode(image).latent_dist.mean)[0]


def answer(value):
    print(json.dumps(value), file=OUT, flush=True)


# Libraries may print to what was the standard output.
OUT, sys.stdout = sys.stdout, sys.stderr
where = torch.cuda.get_device_name() if DEVICE == "cuda" else f"{torch.get_num_threads()} threads"
answer({"name": f"diffusers {diffusers.__version__}, torch {torch.__version__}, {str(DTYPE)[6:]}, {where}"})
networks = load()
for line in sys.stdin:
    asked = json.loads(line)
    if asked.get("load"):
        networks = None
        ms, networks = milliseconds(load)
        answer({"load": ms})
    else:
        answer({stage: run(stage, asked["side"], *networks) for stage in asked["stages"]})
