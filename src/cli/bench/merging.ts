/** What token merging gains and what it costs: time of a picture, and how far it comes from the one without. */
import { Engine } from "../../engine/engine.ts";
import type { JobProgress } from "../../engine/client.ts";
import { encodePictures } from "../../engine/picture.ts";
import { readBuffer } from "../../gpu/buffer.ts";
import { decodePng } from "../../image/png.ts";
import { alternate, format, median } from "./measure.ts";
import { make, request } from "./pictures.ts";

/** What is compared to none. */
export const mergingRatios = [0.25, 0.5, 0.75];
/** Prompts that are compared. */
const prompts = ["a red circle on a blue background", "a yellow star on a green background", "a pink heart"];

/**
 * Prints a table: for squares of these sides, or where absent the model's own size and twice and four times its sides, each
 * ratio against none.
 */
export async function benchMerging(
  model: string,
  gpu: string | undefined,
  { runs, sides }: { runs: number; sides?: readonly number[] },
): Promise<void> {
  using engine = await Engine.open({ model, gpu, log: () => {} });
  const { width, height } = engine.info.model.defaults;
  console.log(
    "| size | ratio | median | without merging | gain | latents' rel_rms | PSNR |\n|---|---|---|---|---|---|---|",
  );
  const sizes = sides?.map((side) => ({ width: side, height: side })) ??
    [1, 2, 4].map((factor) => ({ width: factor * width, height: factor * height }));
  for (const size of sizes) {
    for (const tokenMerging of mergingRatios) {
      const [merged, plain] = await alternate(
        size.width > width ? Math.min(runs, 3) : runs,
        () => make(engine, { ...size, tokenMerging }),
        () => make(engine, size),
      );
      const gain = `${(100 * (1 - median(merged) / median(plain))).toFixed(0)} %`;
      const { error, psnr } = await compare(engine, size, tokenMerging);
      console.log(
        `| ${size.width}×${size.height} | ${tokenMerging} | ${format(median(merged))} | ${format(median(plain))} | ` +
          `${gain} | ${error.toFixed(3)} | ${psnr.toFixed(1)} dB |`,
      );
    }
  }
}

/** rms(merged − plain) / rms(plain) of the final latents, and the pictures' PSNR, both over all prompts. */
async function compare(
  engine: Engine,
  size: { width: number; height: number },
  tokenMerging: number,
): Promise<{ error: number; psnr: number }> {
  const latents = [0, 0], levels = [0, 0];
  for (const prompt of prompts) {
    const plain = await result(engine, { prompt, ...size });
    const merged = await result(engine, { prompt, ...size, tokenMerging });
    for (const [i, value] of plain.latents.entries()) {
      latents[0] += (merged.latents[i] - value) ** 2;
      latents[1] += value ** 2;
    }
    for (const [i, level] of plain.pixels.entries()) levels[0] += (merged.pixels[i] - level) ** 2;
    levels[1] += plain.pixels.length;
  }
  return { error: Math.sqrt(latents[0] / latents[1]), psnr: 10 * Math.log10(255 ** 2 * levels[1] / levels[0]) };
}

/** A picture's levels and the latents that it was decoded from. */
async function result(
  engine: Engine,
  fields: { prompt: string; width: number; height: number; tokenMerging?: number },
): Promise<{ latents: Float32Array; pixels: Uint8Array }> {
  const asked = request(engine, fields), { width, height, tokenMerging } = fields;
  const events = ReadableStream.from(engine.generate(asked, new AbortController().signal));
  let pixels = new Uint8Array();
  const { model } = engine.info;
  for await (const { png } of encodePictures(events as ReadableStream<JobProgress>, { request: asked, model })) {
    pixels = decodePng(png).pixels;
  }
  const buffer = engine.canvas({ images: 1, width, height, tokenMerging }).latents;
  return { latents: new Float32Array(await readBuffer(engine.device, buffer, 0, buffer.size)), pixels };
}
