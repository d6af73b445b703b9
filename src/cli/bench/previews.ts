/**
 * What previews cost a run: blocks of steps with and without them by turns inside the same runs, so that each block is
 * compared to its neighbour and not to another minute's weather, which moves whole pictures by more than previews do.
 */
import { tokensPlan } from "../../engine/conditioning.ts";
import { Engine } from "../../engine/engine.ts";
import { createTrajectory } from "../../samplers/mod.ts";
import { gaussian } from "../../tensor/random.ts";
import { format, median, percentile } from "./measure.ts";

/** Steps of a block: what a preview leaves behind for the step after it counts as its own, but for the last of five. */
const blockSteps = 5;
/** Steps of a run. */
const steps = 20;

/** Prints the time of a step with a preview after it beside that of one without, of `runs` runs at the model's own size. */
export async function benchPreviews(model: string, gpu: string | undefined, runs: number): Promise<void> {
  using engine = await Engine.open({ model, gpu, log: () => {} });
  const without: number[] = [], withPreviews: number[] = [];
  for (let run = -1; run < runs; run++) {
    const blocks = await runBlocks(engine, (block) => (block + run) % 2 !== 0);
    if (run < 0) continue; // compiles and fits
    for (let block = 0; block < blocks.length; block += 2) {
      const pair = [blocks[block], blocks[block + 1]];
      if (run % 2) pair.reverse();
      without.push(pair[0]);
      withPreviews.push(pair[1]);
    }
  }
  const shares = withPreviews.map((ms, i) => ms / without[i]), share = median(shares);
  const range = `${percentile(shares, 0.25).toFixed(3)} … ${percentile(shares, 0.75).toFixed(3)}`;
  console.log(
    "| pairs of 5 steps | a step, median | with a preview after it | share, median | middle half | 10 in 20 steps |",
  );
  console.log("|---|---|---|---|---|---|");
  const step = (blocks: number[]) => format(median(blocks) / blockSteps);
  console.log(
    `| ${shares.length} | ${step(without)} | ${step(withPreviews)} | ${share.toFixed(3)} | ${range} | ${
      ((1 + share) / 2).toFixed(3)
    } |`,
  );
}

/** Milliseconds of each block of one run; the blocks that `isPreviewed` names have a preview after every step. */
async function runBlocks(engine: Engine, isPreviewed: (block: number) => boolean): Promise<number[]> {
  const { pipeline, model } = engine.standard, { width, height, guidanceScale } = engine.info.model.defaults;
  const prompt = tokensPlan(new Uint32Array(model.textEncoder.config.max_position_embeddings));
  const shape = [model.vae.config.latent_channels, height / model.vae.scale, width / model.vae.scale];
  const run = pipeline.denoise({
    images: 1,
    width,
    height,
    conditional: [prompt],
    unconditional: [prompt],
    guidanceScale,
    trajectory: createTrajectory("dpmpp_2m", {}, { steps }),
    noise: gaussian({ seed: 1, rng: "nv", shape }),
    isPreviewed: (step) => isPreviewed(Math.floor(step / blockSteps)),
  });
  const blocks: number[] = new Array(steps / blockSteps).fill(0);
  for await (const { step, ms } of run) blocks[Math.floor((step - 1) / blockSteps)] += ms;
  return blocks;
}
