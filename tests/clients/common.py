"""What the scripts share: the server's address, a picture to start from, and checks with names."""

import base64
import io
import sys

from PIL import Image

URL = sys.argv[1]
PROMPT = "a red circle on a blue background"


def opened(data: bytes, size=(128, 128), kind="PNG") -> Image.Image:
    """A picture of that size and kind, which is no flat colour."""
    image = Image.open(io.BytesIO(data))
    assert (image.size, image.format) == (size, kind), (image.size, image.format)
    assert len(image.convert("RGB").getcolors(1 << 24)) > 50, "the picture is flat"
    return image


def decoded(text: str, **wanted) -> Image.Image:
    return opened(base64.b64decode(text, validate=True), **wanted)


def gradient(size=(128, 128)) -> Image.Image:
    return Image.linear_gradient("L").resize(size).convert("RGB")


def png(image: Image.Image) -> bytes:
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


def raises(kind, run):
    """The error of that kind that `run` ends with."""
    try:
        run()
    except kind as error:
        return error
    raise AssertionError(f"no {kind.__name__}")


def done(name: str) -> None:
    print(f"ok {name}", flush=True)
