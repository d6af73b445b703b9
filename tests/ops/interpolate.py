"""Writes interpolate.json: one small channels-last picture in other sizes, by the libraries whose rules
torch.nn.functional.interpolate follows: OpenCV without antialiasing, Pillow with (needs numpy, pillow and
opencv-python-headless; made with 2.4.6, 13.0.0 and 5.0.0)."""
import json
import cv2
import numpy as np
from PIL import Image

H, W, C = 7, 9, 3
x = np.array([((i * 2654435761) % 1000) / 500 - 1 for i in range(H * W * C)], np.float32).reshape(H, W, C)


def pillow(method, h, w):
    return np.stack([np.asarray(Image.fromarray(x[:, :, c]).resize((w, h), method)) for c in range(C)], -1)


def nearest(h, w):
    return x[np.arange(h) * H // h][:, np.arange(w) * W // w]


ways = {
    "nearest": nearest,
    "nearest-exact": lambda h, w: pillow(Image.Resampling.NEAREST, h, w),
    "bilinear": lambda h, w: cv2.resize(x, (w, h), interpolation=cv2.INTER_LINEAR),
    "bilinear antialiased": lambda h, w: pillow(Image.Resampling.BILINEAR, h, w),
    "bicubic": lambda h, w: cv2.resize(x, (w, h), interpolation=cv2.INTER_CUBIC),
    "bicubic antialiased": lambda h, w: pillow(Image.Resampling.BICUBIC, h, w),
}
sizes = [(14, 18), (11, 13), (7, 9), (3, 20), (28, 4)]
json.dump({
    "height": H, "width": W, "channels": C, "data": [float(v) for v in x.ravel()],
    "cases": [{"how": how, "height": h, "width": w, "data": [round(float(v), 7) for v in make(h, w).ravel()]}
              for how, make in ways.items() for h, w in sizes],
}, open("interpolate.json", "w"))
