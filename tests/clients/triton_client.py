"""PyPI's tritonclient over HTTP: health, metadata, and inference in JSON and in binary."""

import base64

import numpy as np
import tritonclient.http as triton
from common import PROMPT, URL, done, gradient, opened, png, raises
from tritonclient.utils import InferenceServerException

client = triton.InferenceServerClient(url=URL.split("://")[1])
assert client.is_server_live() and client.is_server_ready() and client.is_model_ready("tiny")
assert not client.is_model_ready("none")
assert client.get_server_metadata()["extensions"] == ["binary_tensor_data"]
assert "prompt" in [tensor["name"] for tensor in client.get_model_metadata("tiny")["inputs"]]
done("health and metadata")


def tensor(name: str, datatype: str, value, binary: bool) -> triton.InferInput:
    kinds = {"BYTES": np.object_, "INT32": np.int32, "INT64": np.int64, "FP32": np.float32}
    made = triton.InferInput(name, [1], datatype)
    made.set_data_from_numpy(np.array([value], dtype=kinds[datatype]), binary_data=binary)
    return made


def values(binary: bool) -> list:
    return [
        tensor("prompt", "BYTES", PROMPT.encode() if binary else PROMPT, binary),
        tensor("steps", "INT32", 4, binary),
        tensor("seed", "INT64", 1, binary),
        tensor("cfg_scale", "FP32", 3.1, binary),
    ]


pictures = []
for binary in (True, False):
    output = triton.InferRequestedOutput("image", binary_data=binary)
    [image] = client.infer("tiny", values(binary), outputs=[output], request_id="7").as_numpy("image")
    pictures.append(image if binary else base64.b64decode(image))
    opened(pictures[-1])
assert pictures[0] == pictures[1]
done("inference in both forms, with the same picture")

[image] = client.infer("tiny", [*values(True), tensor("init_image", "BYTES", png(gradient()), True)]).as_numpy("image")
opened(image)
assert image != pictures[0]
done("image-to-image")

error = raises(InferenceServerException, lambda: client.infer("tiny", [tensor("steps", "INT32", 0, True)]))
assert "would do" in error.message(), error
done("errors")
