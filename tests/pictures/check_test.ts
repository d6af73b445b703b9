import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { decodePng } from "../../src/image/png.ts";
import { differences, look, promptOf, type Scene, shapes } from "./check.ts";
import { type Colour, colours, difference, lab, palette } from "./colour.ts";
import { draw, type Placement } from "./draw.ts";
import { scenes } from "./prompts.ts";
import { referencePictures } from "./reference.ts";

const read = (path: string) => decodePng(Deno.readFileSync(new URL(path, import.meta.url)));

/** Uniform in [0, 1), the same on every run (Numerical Recipes' linear congruential generator). */
function generator(seed: number): () => number {
  return () => (seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0) / 2 ** 32;
}

const colourOf = (name: Colour) => lab(palette[name]);

/** Every shape in every colour, each on the next background that it can be seen on. */
function* everyScene(): Generator<Scene> {
  let turn = 0;
  for (const shape of shapes) {
    for (const colour of colours) {
      let background = colours[turn++ % colours.length];
      while (difference(colourOf(colour), colourOf(background)) < 40) background = colours[turn++ % colours.length];
      yield { shape, colour, background };
    }
  }
}

Deno.test("every shape in every colour is recognised where it is drawn plainly, at any usual size and place", () => {
  const random = generator(1);
  for (const scene of everyScene()) {
    const between = (low: number, high: number) => low + (high - low) * random();
    const placement: Placement = { x: between(-0.2, 0.2), y: between(-0.2, 0.2), radius: between(0.34, 0.66) };
    const picture = draw(scene, placement, { noise: () => between(-6, 6) });
    const found = differences(picture, scene);
    if (found.length) throw new Error(`${promptOf(scene)} at ${JSON.stringify(placement)}: ${found.join("; ")}`);
  }
});

Deno.test("at least 49 of the reference pipeline's own 50 pictures pass", () => {
  const failed: string[] = [];
  for (const [picture, scene] of referencePictures(read("reference.png"))) {
    const found = differences(picture, scene);
    if (found.length) failed.push(`${promptOf(scene)}: ${found.join("; ")}; ${JSON.stringify(look(picture)?.outline)}`);
  }
  ok(failed.length <= 1, failed.join("\n"));
});

Deno.test("the reference pipeline's goldens of one figure pass, whatever sampler drew them", () => {
  const asked: Record<string, Scene> = {
    "red-circle": { colour: "red", shape: "circle", background: "blue" },
    "yellow-star": { colour: "yellow", shape: "star", background: "black" },
    "ddpm-heart": { colour: "pink", shape: "heart", background: "white" },
    "img2img": { colour: "green", shape: "triangle", background: "orange" },
  };
  for (const [name, scene] of Object.entries(asked)) {
    const picture = read(`../oracle/goldens-tiny/${name}.png`);
    deepStrictEqual(differences(picture, scene), [], `${name}: ${JSON.stringify(look(picture))}`);
  }
});

Deno.test("a wrong colour, a wrong shape and a wrong background are each named", () => {
  const picture = draw({ colour: "red", shape: "circle", background: "blue" }, { x: 0, y: 0, radius: 0.5 });
  deepStrictEqual(differences(picture, { colour: "orange", shape: "star", background: "cyan" }), [
    "The colour is red, not orange",
    "The shape is circle, not star",
    "The background is blue, not cyan",
  ]);
});

Deno.test("a picture without a figure is not taken for one, noise included", () => {
  const random = generator(2);
  const pixels = Uint8Array.from({ length: 128 * 128 * 3 }, () => 120 + 16 * random());
  deepStrictEqual(differences({ width: 128, height: 128, pixels }, scenes[0]), [
    "Nothing stands out from the background",
  ]);
});

Deno.test("a slanted bar is none of the shapes", () => {
  const pixels = new Uint8Array(128 * 128 * 3);
  for (let y = 0; y < 128; y++) {
    for (let x = 0; x < 128; x++) {
      const on = Math.abs(x - y) < 8 && y > 16 && y < 112;
      pixels.set(on ? palette.red : palette.blue, (y * 128 + x) * 3);
    }
  }
  strictEqual(look({ width: 128, height: 128, pixels })?.shape, "other");
});

Deno.test("the twelve prompts of the final test use every colour, and every background once", () => {
  strictEqual(scenes.length, 12);
  strictEqual(new Set(scenes.map(({ background }) => background)).size, 12);
  strictEqual(new Set(scenes.map(({ colour }) => colour)).size, 12);
  strictEqual(new Set(scenes.map(({ shape }) => shape)).size, shapes.length);
});
