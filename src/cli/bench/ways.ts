/** What options save or cost, and what they do to pictures: each way to make them against the usual one, on the same prompts and seeds. */
import { Engine } from "../../engine/engine.ts";
import type { GenerateRequest } from "../../engine/request.ts";
import { plainGuidance } from "../../engine/tasks.ts";
import { format, median, timed } from "./measure.ts";
import { make } from "./pictures.ts";

/** Ways to make the same pictures by name: fields of the request beside the usual ones. */
type Ways = Readonly<Record<string, Partial<GenerateRequest>>>;

/** What can be compared, by the flag that asks for it. */
export const comparisons = {
  "step-cache": {
    "step_cache 2": { stepCache: 2 },
    "step_cache 3": { stepCache: 3 },
    "step_cache 5": { stepCache: 5 },
  },
  "cfg-interval": { "cfg_start 0.1, cfg_end 0.6": { guidance: { ...plainGuidance, start: 0.1, end: 0.6 } } },
} as const satisfies Record<string, Ways>;

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

/**
 * Prints, by way, the time of a picture of 20 steps, its share of the usual way's in the same round, and its error: medians
 * of `runs` rounds in which the ways take turns, every other one backwards.
 */
export async function benchWays(model: string, gpu: string | undefined, runs: number, ways: Ways): Promise<void> {
  using engine = await Engine.open({ model, gpu, precision: "f32", log: () => {} });
  const all = Object.entries<Partial<GenerateRequest>>({ "as usual": {}, ...ways });
  const fields = (way: Partial<GenerateRequest>, at: number) => ({ ...way, prompt: prompts[at], seed: 1000 + at });
  const made: Made[][] = [], times: number[][] = all.map(() => []);
  for (const [, way] of all) {
    const pictures: Made[] = [];
    for (const at of prompts.keys()) pictures.push(await makeOne(engine, fields(way, at)));
    made.push(pictures);
  }
  const turns = [...all.entries()];
  for (let run = 0; run < runs; run++) {
    for (const [i, [, way]] of run % 2 ? turns.toReversed() : turns) {
      times[i].push(await timed(() => make(engine, fields(way, run % prompts.length))));
    }
  }
  console.log(
    "| what | a picture, median | least … most | of the usual way's time | latents, rel_rms | pictures, PSNR |",
  );
  console.log("|---|---|---|---|---|---|");
  for (const [i, [name]] of all.entries()) {
    const ms = times[i], share = median(ms.map((each, run) => each / times[0][run]));
    const range = `${format(Math.min(...ms))} … ${format(Math.max(...ms))}`;
    console.log(`| ${name} | ${format(median(ms))} | ${range} | ${share.toFixed(3)} | ${errorOf(made[i], made[0])} |`);
  }
}

/** Means and the worst, as two columns. */
function errorOf(made: readonly Made[], usual: readonly Made[]): string {
  const errors = made.map(({ latents }, at) => relativeError(latents, usual[at].latents));
  const ratios = made.map(({ levels }, at) => signalToNoise(levels, usual[at].levels));
  const mean = (values: number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
  if (Math.max(...errors) === 0 && Math.min(...ratios) === Infinity) return "0 | same";
  const worst = Math.max(...errors).toFixed(3), least = Math.min(...ratios).toFixed(1);
  return `${mean(errors).toFixed(3)}, ${worst} at most | ${mean(ratios).toFixed(1)} dB, ${least} at least`;
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
