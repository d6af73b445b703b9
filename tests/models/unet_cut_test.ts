/** The U-Net cut through its first level: what is outside of the cut gives the same when told what is inside. */
import { deepStrictEqual, ok, throws } from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { openFolder } from "../../src/checkpoint/folder.ts";
import { createBackend, openStableDiffusion } from "../../src/engine/model.ts";
import { openDevice } from "../../src/gpu/device.ts";
import { Graph, type Value } from "../../src/graph/graph.ts";
import { freeze } from "../../src/graph/plan.ts";
import { timestepProjection } from "../../src/models/unet/embeddings.ts";
import { gaussian } from "../../src/tensor/random.ts";

const device = await openDevice();
const folder = openFolder(fileURLToPath(new URL("../../weights/tiny", import.meta.url)));
const model = openStableDiffusion(createBackend(device, "f32"), folder, { name: "tiny" }), { unet } = model;
await model.components.unet.load();
Deno.test.afterAll(() => {
  for (const made of [model, device]) made[Symbol.dispose]();
});

/** Runs a call with these inputs; `deep` is the shape of what it is told. */
async function call(
  sample: readonly number[],
  { depth, deep, timestep = 500 }: { depth?: number; deep?: Float32Array; timestep?: number },
): Promise<{ output: Float32Array; deep?: Float32Array; dispatches: number }> {
  const graph = new Graph(model.backend.target), context = [sample[0], 77, unet.config.cross_attention_dim];
  const input = (name: string, shape: readonly number[]) => graph.input(name, shape, "f32");
  const given = [input("sample", sample), input("timestep", [1, 32]), input("context", context)] as const;
  const cut = depth === undefined ? undefined : {
    depth,
    deep: deep && input("deep", unet.deepShape(depth, sample)),
    keep: (deep: Value) => graph.keep("deep", deep),
  };
  graph.keep("output", unet.forward(...given, { cut }));
  using plan = freeze(device, graph);
  plan.write("sample", gaussian({ seed: 1, rng: "cpu", shape: sample })());
  plan.write("timestep", timestepProjection(timestep, unet.config));
  plan.write("context", gaussian({ seed: 2, rng: "cpu", shape: context })());
  if (deep) plan.write("deep", deep);
  plan.run();
  return {
    output: await plan.read("output"),
    deep: depth === undefined ? undefined : await plan.read("deep"),
    dispatches: plan.launches.length,
  };
}

/** ‖found − expected‖ / ‖expected‖. */
function relativeError(found: Float32Array, expected: Float32Array): number {
  return Math.hypot(...found.map((value, i) => value - expected[i])) / Math.hypot(...expected);
}

for (const sample of [[2, 8, 8, 4], [1, 9, 13, 4]]) {
  const whole = await call(sample, {});
  for (let depth = 0; depth <= unet.config.layers_per_block[0]; depth++) {
    Deno.test(`cut at depth ${depth}, a call told its own inside gives the whole network's output: [${sample}]`, async () => {
      const kept = await call(sample, { depth });
      deepStrictEqual(kept.output, whole.output, "keeping changes nothing");
      const told = await call(sample, { depth, deep: kept.deep });
      const error = relativeError(told.output, whole.output);
      ok(error < 1e-6, `${error}`);
      ok(told.dispatches < kept.dispatches / 2, `${told.dispatches} dispatches of ${kept.dispatches}`);
      // The outside still sees what is its own, and hears the inside.
      const later = await call(sample, { depth, deep: kept.deep, timestep: 400 });
      ok(relativeError(later.output, told.output) > 1e-4);
      const without = await call(sample, { depth, deep: kept.deep!.map(() => 0) });
      ok(relativeError(without.output, told.output) > 1e-2);
    });
  }
}

Deno.test("a cut deeper than the first level is refused with the depths that are not", () => {
  throws(() => unet.deepShape(2, [1, 8, 8, 4]), { message: "Cannot cut the U-Net at depth 2, 0 to 1 would do" });
});
