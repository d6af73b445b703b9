"""Writes resize.json: one small picture and what Pillow makes of it in other sizes (needs pillow; made with 13.0.0)."""
import json
from PIL import Image

WIDTH, HEIGHT = 23, 17
pixels = bytes((i * 37 + (i * i >> 3) + 255 * (i // 3 % 5 == 0)) & 0xFF for i in range(WIDTH * HEIGHT * 3))
picture = Image.frombytes("RGB", (WIDTH, HEIGHT), pixels)
sizes = [(23, 17), (8, 8), (16, 24), (64, 8), (23, 40), (1, 1), (56, 48), (22, 8), (20, 8)]
cases = [{"width": w, "height": h, "hex": picture.resize((w, h), Image.Resampling.LANCZOS).tobytes().hex()} for w, h in sizes]
json.dump({"width": WIDTH, "height": HEIGHT, "hex": pixels.hex(), "cases": cases}, open("resize.json", "w"), indent=1)
