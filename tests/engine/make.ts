/** Makes pictures on the embedded model as the command line does: fields in, PNG files out. */
import { fileURLToPath } from "node:url";
import type { JobProgress } from "../../src/engine/client.ts";
import { Engine, type Progress } from "../../src/engine/engine.ts";
import { encodePictures } from "../../src/engine/picture.ts";
import { type GenerateRequest, parseRequest } from "../../src/engine/request.ts";
import { attachPictures, preparationOf, sideMultiple } from "../../src/engine/tasks.ts";
import type { Picture } from "../../src/image/picture.ts";
import { decodePng } from "../../src/image/png.ts";
import { prepare } from "../../src/image/prepare.ts";

/** The embedded model in f32. */
export function openTiny(): Promise<Engine> {
  const model = fileURLToPath(new URL("../../weights/tiny", import.meta.url));
  return Engine.open({ model, precision: "f32", log: () => {} });
}

/** A small picture in two steps, as the engine is asked for one. */
export const smallRequest: GenerateRequest = {
  prompt: "a red circle on a blue background",
  negativePrompt: "",
  width: 64,
  height: 64,
  steps: 2,
  guidanceScale: 3,
  sampler: "euler",
  scheduler: "automatic",
  seed: 1,
  rng: "nv",
  eta: 0,
  strength: 1,
};

/** A picture that was made. */
export interface Made extends Picture {
  png: Uint8Array<ArrayBuffer>;
  seed: number;
}

/** Pictures and what was shown of them on the way. */
export interface Making {
  pictures: Made[];
  previews: Extract<Progress, { type: "preview" }>[];
  steps: number;
}

/** Makes the pictures of a request; its files are given as pictures. */
export async function make(
  engine: Engine,
  fields: ReadonlyMap<string, unknown> | Record<string, unknown>,
  { init, mask }: { init?: Picture; mask?: Picture } = {},
): Promise<Making> {
  const given = new Map(fields instanceof Map ? fields : Object.entries(fields)), file = new Uint8Array(1);
  if (init) given.set("init_image", file);
  if (mask) given.set("mask", file);
  const { request } = parseRequest(given, engine.info);
  if (init) attachPictures(request, prepare(init, mask, preparationOf(request, sideMultiple)));
  const previews: Making["previews"] = [], pictures: Made[] = [];
  let steps = 0;
  const events = ReadableStream.from(engine.generate(request, new AbortController().signal));
  const made = encodePictures(events as ReadableStream<JobProgress>, {
    request,
    model: engine.info.model,
    observe(event) {
      if (event.type === "preview") previews.push(event as Making["previews"][number]);
      if (event.type === "step") steps++;
    },
  });
  for await (const { png, request: { seed } } of made) pictures.push({ ...decodePng(png), png, seed });
  return { pictures, previews, steps };
}

/** A mask that is white in a rectangle. */
export function rectangle(
  size: { width: number; height: number },
  at: { x: number; y: number; width: number; height: number },
): Picture {
  const pixels = new Uint8Array(size.width * size.height * 3);
  for (let y = at.y; y < at.y + at.height; y++) {
    pixels.fill(255, 3 * (y * size.width + at.x), 3 * (y * size.width + at.x + at.width));
  }
  return { width: size.width, height: size.height, pixels };
}

/** Largest difference of two pictures' levels where `within` holds. */
export function largestDifference(a: Picture, b: Picture, within: (x: number, y: number) => boolean): number {
  let largest = 0;
  for (const [i, level] of a.pixels.entries()) {
    const pixel = Math.floor(i / 3);
    if (within(pixel % a.width, Math.floor(pixel / a.width))) {
      largest = Math.max(largest, Math.abs(level - b.pixels[i]));
    }
  }
  return largest;
}

/** Mean difference of two pictures' levels. */
export function meanDifference(a: Picture, b: Picture): number {
  return a.pixels.reduce((sum, level, i) => sum + Math.abs(level - b.pixels[i]), 0) / a.pixels.length;
}
