"""PyPI's webuiapi, a client of AUTOMATIC1111's web UI."""

import threading
import time
from urllib.parse import urlparse

import webuiapi
from PIL import Image
from common import PROMPT, URL, done, gradient, opened, png, raises

address = urlparse(URL)
api = webuiapi.WebUIApi(host=address.hostname, port=address.port, sampler="Euler a", scheduler="automatic", steps=4)
SMALL = {"width": 128, "height": 128, "seed": 3}

assert "Euler a" in api.util_get_sampler_names()
assert "Karras" in [scheduler["label"] for scheduler in api.get_schedulers()]
assert api.util_get_model_names() == ["tiny.safetensors"], api.util_get_model_names()
for ask in (api.get_cmd_flags, api.get_embeddings, api.get_face_restorers, api.get_hypernetworks, api.get_latent_upscale_modes,
            api.get_loras, api.get_memory, api.get_prompt_styles, api.get_realesrgan_models, api.get_scripts, api.get_sd_vae,
            api.get_upscalers, api.refresh_checkpoints, api.skip):
    ask()
done("lists")

api.set_options(api.get_options())
api.util_set_model("tiny")
assert api.util_get_current_model() == "tiny.safetensors"
api.util_wait_for_ready(check_interval=0.1)
done("options")

result = api.txt2img(prompt=PROMPT, negative_prompt="dog", cfg_scale=3, **SMALL)
first = opened(png(result.image))
assert result.info["seed"] == 3 and result.info["all_seeds"] == [3] and result.parameters["steps"] == 4
again = api.txt2img(prompt=PROMPT, negative_prompt="dog", cfg_scale=3, **SMALL)
assert again.image.tobytes() == result.image.tobytes()
done("txt2img, the same for the same seed")

info = api.png_info(result.image)
assert info.info.startswith(PROMPT), info.info
for kind in ("jpg", "webp"):
    image = api.txt2img(prompt=PROMPT, override_settings={"samples_format": kind}, **SMALL).image
    assert image.format == {"jpg": "JPEG", "webp": "WEBP"}[kind], image.format
done("png-info, and other formats")

result = api.img2img(images=[gradient()], prompt=PROMPT, denoising_strength=0.6, **SMALL)
assert result.info["denoising_strength"] == 0.6
opened(png(result.image))
done("img2img")

result = api.img2img(images=[gradient()], mask_image=Image.new("L", (128, 128), 255), inpaint_full_res=False, prompt=PROMPT, **SMALL)
opened(png(result.image))
done("inpainting")

result = api.txt2img(prompt=PROMPT, batch_size=2, n_iter=2, **SMALL)
assert len(result.images) == 4 and result.info["all_seeds"] == [3, 4, 5, 6], result.info
assert result.images[0].tobytes() != result.images[3].tobytes()
done("batches")

result = api.txt2img(prompt=PROMPT, enable_hr=True, hr_scale=1.5, hr_upscaler="Latent", denoising_strength=0.7, **SMALL)
opened(png(result.image), size=(192, 192))
done("a second, larger pass")

assert api.extra_single_image(image=first, upscaler_1="None").image.size == (128, 128)
done("extra-single-image without an upscaler")

long = threading.Thread(target=lambda: results.append(api.txt2img(prompt=PROMPT, width=256, height=256, steps=150)))
results: list = []
long.start()
while not api.get_progress()["progress"] > 0.01:
    time.sleep(0.02)
began = time.monotonic()
api.interrupt()
long.join()
assert results[0].images == [] and time.monotonic() - began < 5, results
assert api.get_progress()["state"]["job_count"] == 0
done("progress and interrupt")

raises(RuntimeError, lambda: api.txt2img(prompt=PROMPT, sampler_name="Bogus", **SMALL))
raises(RuntimeError, lambda: api.txt2img(prompt=PROMPT, width=3, height=128))
done("errors")
