/** What a cache between steps saves, and what it does to pictures: each interval against 1, on the same prompts and seeds. */
import { Engine } from "../../engine/engine.ts";
import type { GenerateRequest } from "../../engine/request.ts";
import { format, median, timed } from "./measure.ts";
import { make } from "./pictures.ts";

const intervals = [1, 2, 3, 5] as const;

/** What the embedded model was trained on. */
const prompts = [
  "a red circle on a blue background",
  "a yellow star on a black background",
  "a pink heart on a white background",
  "a green triangle on a yellow background",
  "a white square on a red background",
  "a boat on the sea at sunset",
  "a tree in a green field",
  "a fish in the water",
];

/** What was made of one prompt. */
interface Made {
  latents: Float32Array;
  /** RGB. */
  levels: Uint8Array;
}

/** Prints, by interval, the time of a picture of 20 steps (median of `runs` rounds in which the intervals take turns) and its error. */
export async function benchStepCache(model: string, gpu: string | undefined, runs: number): Promise<void> {
  using engine = await Engine.open({ model, gpu, precision: "f32", log: () => {} });
  const fields = (stepCache: number, at: number) => ({ prompt: prompts[at], seed: 1000 + at, stepCache });
  const made = new Map<number, Made[]>(), times = new Map<number, number[]>();
  for (const interval of intervals) {
    const all: Made[] = [];
    for (const at of prompts.keys()) all.push(await makeOne(engine, fields(interval, at)));
    made.set(interval, all);
    times.set(interval, []);
  }
  for (let run = 0; run < runs; run++) {
    for (const interval of intervals) {
      times.get(interval)!.push(await timed(() => make(engine, fields(interval, run % prompts.length))));
    }
  }
  const first = median(times.get(1)!);
  console.log("| step_cache | a picture, median | least … most | of 1's time | latents, rel_rms | pictures, PSNR |");
  console.log("|---|---|---|---|---|---|");
  for (const interval of intervals) {
    const ms = times.get(interval)!, pairs = made.get(interval)!.map((each, at) => [each, made.get(1)![at]] as const);
    const errors = pairs.map(([each, exact]) => relativeError(each.latents, exact.latents));
    const ratios = pairs.map(([each, exact]) => signalToNoise(each.levels, exact.levels));
    const mean = (values: number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
    const least = Math.min(...ratios).toFixed(1), worst = Math.max(...errors).toFixed(3);
    const error = interval === 1
      ? "0 | same"
      : `${mean(errors).toFixed(3)}, ${worst} at most | ${mean(ratios).toFixed(1)} dB, ${least} at least`;
    const range = `${format(Math.min(...ms))} … ${format(Math.max(...ms))}`;
    console.log(`| ${interval} | ${format(median(ms))} | ${range} | ${(median(ms) / first).toFixed(2)} | ${error} |`);
  }
}

async function makeOne(engine: Engine, fields: Partial<GenerateRequest>): Promise<Made> {
  await make(engine, fields);
  const { pipeline } = engine.standard, { width, height } = engine.info.model.defaults;
  const canvas = engine.canvas({ images: 1, width, height });
  return { latents: await pipeline.latents(canvas), levels: (await pipeline.picture(canvas)).pixels };
}

/** ‖found − expected‖ / ‖expected‖. */
function relativeError(found: Float32Array, expected: Float32Array): number {
  return Math.hypot(...found.map((value, i) => value - expected[i])) / Math.hypot(...expected);
}

/** PSNR of 8-bit levels, in dB. */
function signalToNoise(found: Uint8Array, expected: Uint8Array): number {
  const squares = found.reduce((sum, level, i) => sum + (level - expected[i]) ** 2, 0) / found.length;
  return 10 * Math.log10(255 ** 2 / squares);
}
