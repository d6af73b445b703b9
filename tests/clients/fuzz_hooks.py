"""Keeps what schemathesis makes up small, so that thousands of requests take minutes: valid numbers become lesser ones."""

import re

import schemathesis

# What is taken in place of a larger value, up to the largest that the server accepts.
SMALL = {
    "steps": (1, 150),
    "num_inference_steps": (1, 150),
    "hr_second_pass_steps": (1, 150),
    "width": (64, 2048),
    "height": (64, 2048),
    "n": (2, 16),
    "batch_size": (2, 16),
    "n_iter": (2, 100),
}
# A deadline that passes is answered with 504, as it should be: none is to pass here.
LONGEST_MS = 86_400_000
DIGITS = re.compile("[0-9]{1,8}")


@schemathesis.hook
def filter_case(context, case) -> bool:
    """A1111's own defaults are 50 steps at 512x512, and nothing can be made smaller where there is no body."""
    return not case.operation.path.endswith("txt2img") or isinstance(case.body, dict)


@schemathesis.hook
def before_call(context, case, kwargs) -> None:
    path = case.operation.path
    absent = {"steps": 1, "width": 64, "height": 64}
    if path == "/generate" and case.operation.method.upper() == "GET" and isinstance(case.query, dict):
        shrink(case.query)
        fill(case.query, absent)
    if isinstance(case.body, dict):
        shrink(case.body)
        if path in ("/generate", "/v1/jobs") or path.startswith("/sdapi"):
            fill(case.body, absent)
        elif path.startswith("/v1/images"):
            fill(case.body, {"steps": 1, "size": "64x64"})


def fill(fields: dict, absent: dict) -> None:
    for name, value in absent.items():
        fields.setdefault(name, value)


def shrink(fields: dict) -> None:
    for name, value in list(fields.items()):
        if isinstance(value, dict):
            shrink(value)
        number = int(value) if isinstance(value, str) and DIGITS.fullmatch(value) else value
        if type(number) is not int:
            continue
        if name == "timeout_ms" and 1 <= number <= LONGEST_MS:
            fields[name] = type(value)(LONGEST_MS)
        small, largest = SMALL.get(name, (0, -1))
        if small < number <= largest and (largest != 2048 or number % 8 == 0):
            fields[name] = type(value)(small)
