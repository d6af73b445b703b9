/** Pictures end to end on one engine, in two precisions that are each other's peer. */
import { Engine } from "../../engine/engine.ts";
import type { Precision } from "../../engine/protocol.ts";
import type { GenerateRequest } from "../../engine/request.ts";
import { alternate, type Result } from "./measure.ts";

/** What is timed: one prompt at the model's own size. */
export function request(engine: Engine, fields: Partial<GenerateRequest>): GenerateRequest {
  const { width, height, guidanceScale } = engine.info.model.defaults;
  return {
    prompt: "a red circle on a blue background",
    negativePrompt: "",
    width,
    height,
    steps: 20,
    guidanceScale,
    sampler: "dpmpp_2m",
    scheduler: "automatic",
    seed: 1,
    rng: "nv",
    eta: 0,
    strength: 1,
    ...fields,
  };
}

/** Makes one picture and drops it. */
export async function make(engine: Engine, fields: Partial<GenerateRequest>): Promise<void> {
  for await (const _ of engine.generate(request(engine, fields), new AbortController().signal)) { /* dropped */ }
}

/** A picture of 20 steps, f32 against f16. */
export async function benchPictures(model: string, gpu: string | undefined, runs: number): Promise<Result[]> {
  const open = (precision: Precision) => Engine.open({ model, gpu, precision, log: () => {} });
  using f32 = await open("f32");
  if (!f32.device.f16) return [];
  using f16 = await open("f16");
  const { width, height } = f32.info.model.defaults;
  const [single, half] = await alternate(runs, () => make(f32, {}), () => make(f16, {}));
  return [{ what: `${width}×${height}, 20 steps, f16`, ms: half, peers: [{ name: "f32", ms: single }] }];
}
