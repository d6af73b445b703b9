"""Writes webp.json: WebP files of one small picture and what Pillow reads of them (needs pillow; made with 13.0.0)."""
import base64, io, json
from PIL import Image

WIDTH, HEIGHT = 23, 17
colours = bytes(channel for y in range(HEIGHT) for x in range(WIDTH) for channel in (x * 11, y * 15, (x + y) * 6))
alpha = bytes((x * 11 + y) & 0xFF for y in range(HEIGHT) for x in range(WIDTH))
picture = Image.frombytes("RGB", (WIDTH, HEIGHT), colours)
seen_through = picture.copy()
seen_through.putalpha(Image.frombytes("L", (WIDTH, HEIGHT), alpha))


def turned(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif.tobytes()


def case(name, image, **options):
    file = io.BytesIO()
    image.save(file, "WEBP", **options)
    read = Image.open(file)
    levels = {"alpha": read.getchannel("A").tobytes().hex()} if "A" in read.getbands() else {}
    return {"name": name, "file": base64.b64encode(file.getvalue()).decode(), "rgb": read.convert("RGB").tobytes().hex(), **levels}


cases = [
    case("lossy", picture, quality=90),
    case("lossless", picture, lossless=True),
    case("lossy with alpha", seen_through, quality=80, exact=True),
    case("lossless with alpha", seen_through, lossless=True, exact=True),
    case("stored upside down", picture, lossless=True, exif=turned(3)),
    case("moving", picture, save_all=True, append_images=[seen_through], lossless=True),
]
json.dump({"width": WIDTH, "height": HEIGHT, "cases": cases}, open("webp.json", "w"), indent=1)
