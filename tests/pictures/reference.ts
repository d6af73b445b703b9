/**
 * Fifty pictures by the reference pipeline from the embedded model's weights: DDIM, 20 steps, guidance 5, one seed each.
 * `reference.png` holds them as a sheet; `weights/train/evaluate.py` drew it.
 */
import type { Picture } from "../../src/image/picture.ts";
import type { Scene, ShapeName } from "./check.ts";
import type { Colour } from "./colour.ts";

const [columns, size, gap] = [10, 128, 4];

/** What each was asked for, in reading order. */
const asked: [Colour, ShapeName, Colour][] = [
  ["red", "triangle", "pink"],
  ["yellow", "ring", "red"],
  ["purple", "cross", "yellow"],
  ["purple", "circle", "cyan"],
  ["pink", "hexagon", "black"],
  ["orange", "ring", "blue"],
  ["blue", "triangle", "black"],
  ["cyan", "ring", "pink"],
  ["green", "hexagon", "white"],
  ["red", "heart", "orange"],
  ["pink", "cross", "brown"],
  ["cyan", "hexagon", "brown"],
  ["red", "cross", "pink"],
  ["cyan", "star", "black"],
  ["yellow", "circle", "red"],
  ["orange", "triangle", "purple"],
  ["green", "heart", "blue"],
  ["yellow", "crescent", "gray"],
  ["brown", "circle", "orange"],
  ["black", "cross", "green"],
  ["blue", "star", "orange"],
  ["yellow", "crescent", "pink"],
  ["purple", "ring", "red"],
  ["pink", "diamond", "yellow"],
  ["white", "heart", "orange"],
  ["gray", "heart", "green"],
  ["brown", "hexagon", "cyan"],
  ["green", "square", "gray"],
  ["pink", "hexagon", "red"],
  ["black", "circle", "white"],
  ["green", "ring", "yellow"],
  ["white", "heart", "pink"],
  ["red", "ring", "gray"],
  ["red", "ring", "cyan"],
  ["gray", "square", "yellow"],
  ["black", "heart", "red"],
  ["yellow", "cross", "blue"],
  ["gray", "cross", "blue"],
  ["brown", "square", "cyan"],
  ["gray", "hexagon", "blue"],
  ["yellow", "star", "cyan"],
  ["green", "heart", "black"],
  ["white", "star", "orange"],
  ["pink", "diamond", "black"],
  ["blue", "diamond", "purple"],
  ["blue", "triangle", "black"],
  ["brown", "square", "cyan"],
  ["pink", "ring", "gray"],
  ["purple", "circle", "black"],
  ["cyan", "crescent", "green"],
];

/** Each picture of the sheet with the scene that its prompt asked for. */
export function* referencePictures(sheet: Picture): Generator<[Picture, Scene]> {
  for (const [i, [colour, shape, background]] of asked.entries()) {
    const left = gap + (i % columns) * (size + gap);
    const top = gap + Math.floor(i / columns) * (size + gap);
    const pixels = new Uint8Array(size * size * 3);
    for (let y = 0; y < size; y++) {
      const start = ((top + y) * sheet.width + left) * 3;
      pixels.set(sheet.pixels.subarray(start, start + size * 3), y * size * 3);
    }
    yield [{ width: size, height: size, pixels }, { colour, shape, background }];
  }
}
