"""PyPI's openai: models, generations, edits and variations, streamed and not, and errors."""

import urllib.request

import openai
from PIL import Image, ImageChops, ImageStat
from common import PROMPT, URL, decoded, done, gradient, opened, png, raises

client = openai.OpenAI(base_url=f"{URL}/v1", api_key="any", max_retries=0)
SMALL = {"prompt": PROMPT, "size": "128x128", "extra_body": {"seed": 1, "steps": 4}}

names = [model.id for model in client.models.list()]
assert "tiny" in names and client.models.retrieve("tiny").owned_by == "local"
done("models")

answer = client.images.generate(model="tiny", **SMALL)
first = answer.data[0].b64_json
assert "Seed: 1" in decoded(first).info["parameters"]
assert client.images.generate(model="gpt-image-1", **SMALL).data[0].b64_json == first
done("generations, the same for the same seed")

for kind in ("jpeg", "webp"):
    answer = client.images.generate(model="tiny", output_format=kind, output_compression=80, **SMALL)
    image = decoded(answer.data[0].b64_json, kind=kind.upper())
    # EXIF's user comment, in the encoding that its first eight bytes name.
    comment = image.getexif().get_ifd(0x8769)[0x9286]
    assert comment[:8] == b"UNICODE\0" and comment[8:].decode("utf-16-be").startswith(PROMPT), comment
done("JPEG and WebP")

answer = client.images.generate(model="tiny", response_format="url", **SMALL)
with urllib.request.urlopen(answer.data[0].url) as response:
    opened(response.read())
done("addresses")

events = list(client.images.generate(model="tiny", stream=True, partial_images=2, **SMALL))
assert events[-1].type == "image_generation.completed" and events[-1].size == "128x128", events[-1]
assert all(event.type == "image_generation.partial_image" and event.b64_json for event in events[:-1])
assert decoded(events[-1].b64_json).tobytes() == decoded(first).tobytes()
assert len(events) == 3, [event.type for event in events]
done("a stream with partial pictures")

answer = client.images.generate(n=2, **SMALL)
assert answer.data[0].b64_json == first and "Seed: 2" in decoded(answer.data[1].b64_json).info["parameters"]
done("several pictures")

picture = ("in.png", png(gradient()), "image/png")
for image in (picture, [picture]):
    answer = client.images.edit(image=image, **SMALL)
    assert "Denoising strength: 0.75" in decoded(answer.data[0].b64_json).info["parameters"]
events = list(client.images.edit(image=picture, stream=True, **SMALL))
assert events[-1].type == "image_edit.completed"
# What is transparent is painted: the left half here.
mask = gradient()
mask.putalpha(Image.new("L", mask.size, 255))
mask.paste((0, 0, 0, 0), (0, 0, 64, 128))
answer = client.images.edit(image=picture, mask=("mask.png", png(mask), "image/png"), **SMALL)
before, after = gradient(), decoded(answer.data[0].b64_json)
difference = ImageStat.Stat(ImageChops.difference(before, after).crop((80, 0, 128, 128))).mean
painted = ImageStat.Stat(ImageChops.difference(before, after).crop((0, 0, 48, 128))).mean
assert max(painted) > 2 * max(difference), (painted, difference)
done("edits, with a mask too")

answer = client.images.create_variation(image=picture, size="128x128", extra_body={"steps": 4})
decoded(answer.data[0].b64_json)
done("variations")

error = raises(openai.BadRequestError, lambda: client.images.generate(prompt=PROMPT, size="65x64"))
assert error.param == "size" and error.code == "invalid_field", error
error = raises(openai.NotFoundError, lambda: client.images.generate(prompt=PROMPT, model="none"))
assert error.code == "model_not_found", error
error = raises(openai.NotFoundError, lambda: client.models.retrieve("none"))
error = raises(openai.APITimeoutError, lambda: client.with_options(timeout=0.2).images.generate(
    prompt=PROMPT, extra_body={"steps": 150}))
done("errors")
