"""Writes masking.json: small pictures and masks, and what Pillow and OpenCV make of them in the ways that A1111 calls
them (needs pillow, numpy and opencv-python-headless; made with 13.0.0, 2.5 and 5.0.0)."""
import json
import cv2
import numpy as np
from PIL import Image, ImageFilter, ImageOps

rng = np.random.default_rng(5)
W, H = 37, 29
y, x = np.mgrid[0:H, 0:W]
rgb = np.stack([(x * 7 + y * 3) % 256, (x * x // 5 + y * 11) % 256, np.where((x // 6 + y // 5) % 2, 230, 20)], -1).astype(np.uint8)
mask = np.zeros((H, W), np.uint8)
mask[6:17, 9:25] = 255
soft = rng.integers(0, 256, (H, W)).astype(np.uint8)
half = np.linspace(0, 255, W).astype(np.uint8)[None].repeat(H, 0)
hx = lambda a: np.asarray(a, np.uint8).tobytes().hex()


def blur(m, sigma):
    k = 2 * int(2.5 * sigma + 0.5) + 1
    return cv2.GaussianBlur(cv2.GaussianBlur(m, (k, 1), sigma), (1, k), sigma)


def fill(image, mask):
    out = Image.new("RGBA", image.size)
    masked = Image.new("RGBa", image.size)
    masked.paste(image.convert("RGBA").convert("RGBa"), mask=ImageOps.invert(mask))
    for radius, repeats in [(256, 1), (64, 1), (16, 2), (4, 4), (2, 2), (0, 1)]:
        layer = masked.filter(ImageFilter.GaussianBlur(radius)).convert("RGBA")
        for _ in range(repeats):
            out.alpha_composite(layer)
    return out.convert("RGB")


picture = Image.fromarray(rgb)
json.dump({
    "width": W, "height": H, "rgb": hx(rgb), "luma": hx(picture.convert("L")),
    "masks": {name: hx(m) for name, m in (("box", mask), ("soft", soft), ("half", half))},
    "blurred": [{"mask": name, "sigma": s, "hex": hx(blur(m, s))} for name, m in (("box", mask), ("soft", soft)) for s in (1, 2.5, 4, 12)],
    "filled": [{"mask": name, "hex": hx(fill(picture, Image.fromarray(m)))} for name, m in (("box", mask), ("soft", soft), ("half", half))],
    "bicubic": [{"width": w, "height": h, "hex": hx(picture.resize((w, h), Image.Resampling.BICUBIC))} for w, h in ((5, 4), (80, 17), (37, 60))],
    "nearest": [{"width": w, "height": h, "hex": hx(picture.resize((w, h), Image.Resampling.NEAREST))} for w, h in ((5, 4), (80, 17), (64, 58))],
}, open("masking.json", "w"), indent=1)
