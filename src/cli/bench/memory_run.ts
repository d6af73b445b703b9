/** One picture of one step under a budget, in a process of its own whose memory `memory.ts` watches. */
import { openModel } from "../../checkpoint/model.ts";
import { tokensPlan } from "../../engine/conditioning.ts";
import { createBackend, openStableDiffusion } from "../../engine/model.ts";
import { Pipeline } from "../../engine/pipeline.ts";
import type { Precision } from "../../engine/protocol.ts";
import { openDevice } from "../../gpu/device.ts";
import { createTrajectory } from "../../samplers/mod.ts";
import { gaussian } from "../../tensor/random.ts";

/** What to run. */
export interface MemoryRun {
  model: string;
  precision: Precision;
  /** Bytes of device memory. */
  budget: number;
  height: number;
  width: number;
  /** Whether it starts from a picture, which the VAE's encoder sees first. */
  fromImage: boolean;
  gpu?: string;
}

/** What came of it. */
export interface MemoryResult {
  /** The most bytes of device memory that were in use at once. */
  peak: number;
  evictions: number;
  /** Milliseconds by stage. */
  timing: Readonly<Record<string, number>>;
  adapter: string;
  software: boolean;
}

async function run(
  { model: path, precision, budget, height, width, fromImage, gpu }: MemoryRun,
): Promise<MemoryResult> {
  using device = await openDevice({ gpu });
  const backend = createBackend(device, precision, { budget });
  using model = openStableDiffusion(backend, openModel(path), { name: "model" });
  using pipeline = new Pipeline(model);
  const { latent_channels } = model.vae.config, { scale } = model.vae;
  const prompt = tokensPlan(new Uint32Array(model.textEncoder.config.max_position_embeddings));
  const steps = pipeline.denoise({
    images: 1,
    height,
    width,
    conditional: [prompt],
    unconditional: [prompt],
    guidanceScale: 7.5,
    trajectory: createTrajectory("euler", {}, { steps: 1, strength: fromImage ? 1 : undefined }),
    initImage: fromImage ? new Uint8Array(height * width * 3).fill(128) : undefined,
    noise: gaussian({ seed: 1, rng: "nv", shape: [latent_channels, height / scale, width / scale] }),
  });
  let next = await steps.next();
  while (!next.done) next = await steps.next();
  await pipeline.decode(next.value);
  const { memory, evictions } = backend.residency, { sums: timing } = pipeline.stages;
  return { peak: memory.peak, evictions, timing, adapter: device.name, software: device.software };
}

if (import.meta.main) console.log(JSON.stringify(await run(JSON.parse(Deno.args[0]))));
