"""PyPI's huggingface_hub, with the server as an endpoint of its own."""

from common import PROMPT, URL, done, gradient, opened, png, raises
from huggingface_hub import InferenceClient
from huggingface_hub.errors import HfHubHTTPError

SMALL = {"width": 128, "height": 128, "num_inference_steps": 4, "guidance_scale": 3, "seed": 1}

for path in ("/hf", "/models/tiny"):
    client = InferenceClient(model=URL + path, token="any")
    image = client.text_to_image(PROMPT, negative_prompt="dog", scheduler="EulerDiscreteScheduler", **SMALL)
    opened(png(image))
done("text-to-image")

client = InferenceClient(model=f"{URL}/hf")
opened(png(client.image_to_image(png(gradient()), prompt=PROMPT, num_inference_steps=4)))
opened(png(client.image_to_image(png(gradient()))))
done("image-to-image")

error = raises(HfHubHTTPError, lambda: client.text_to_image(PROMPT, num_inference_steps=0))
assert error.response.status_code == 400 and "num_inference_steps" in error.response.json()["error"]
done("errors")
