"""PyPI's litellm, which speaks to the server as to OpenAI."""

import litellm
from common import PROMPT, URL, decoded, done, raises

OPTIONS = {"api_base": f"{URL}/v1", "api_key": "any", "max_retries": 0, "num_retries": 0}

answer = litellm.image_generation(model="openai/tiny", prompt=PROMPT, size="128x128", **OPTIONS)
decoded(answer.data[0].b64_json)
done("image_generation")

error = raises(Exception, lambda: litellm.image_generation(model="openai/none", prompt=PROMPT, **OPTIONS))
assert error.status_code == 404, error
done("errors")
