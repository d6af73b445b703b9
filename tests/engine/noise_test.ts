import { deepStrictEqual, notDeepStrictEqual } from "node:assert/strict";
import { noiseOf } from "../../src/engine/noise.ts";
import { createTrajectory } from "../../src/samplers/mod.ts";
import { brownianNoise } from "../../src/tensor/brownian.ts";
import { gaussian } from "../../src/tensor/random.ts";

const shape = [4, 8, 8] as const, scale = 8;
const request = { seed: 3, rng: "nv" as const };
const ancestral = createTrajectory("euler_a", {}, { steps: 4 });

Deno.test("a seed's noise is one stream: with a picture the posterior's, the start's, and a draw a step", () => {
  const noise = noiseOf(request, { shape, scale, trajectory: ancestral });
  const draw = gaussian({ ...request, shape });
  deepStrictEqual([noise("posterior"), noise("start"), noise(ancestral.steps[0])], [draw(), draw(), draw()]);
});

Deno.test("rows of stochastic differential equations are given the Brownian path over their interval", () => {
  const trajectory = createTrajectory("dpmpp_2m_sde", {}, { steps: 4, scheduler: "karras" });
  const noise = noiseOf(request, { shape, scale, trajectory });
  noise("start");
  const path = brownianNoise({ ...request, shape, range: trajectory.noiseRange! });
  const rows = trajectory.steps.filter(({ noiseInterval }) => noiseInterval);
  deepStrictEqual(rows.length >= 3, true);
  for (const row of rows) deepStrictEqual(noise(row), path(row.noiseInterval!));
});

Deno.test("another number of steps follows the same Brownian path where their noise levels meet", () => {
  const interval = [7, 2] as const;
  const noiseWith = (steps: number) => {
    const trajectory = createTrajectory("dpmpp_2m_sde", {}, { steps, scheduler: "karras" });
    const row = { ...trajectory.steps[0], noise: 1, noiseInterval: interval };
    return noiseOf(request, { shape, scale, trajectory })(row);
  };
  deepStrictEqual(noiseWith(10), noiseWith(23));
});

Deno.test("variation, resized seed and ENSD of a request reach the noise", () => {
  const options = { shape, scale, trajectory: ancestral };
  const plain = noiseOf(request, options)("start");
  const varied = { ...request, subseed: 9, subseedStrength: 0.4 };
  notDeepStrictEqual(noiseOf(varied, options)("start"), plain);
  const resized = noiseOf({ ...request, seedResizeFrom: { width: 32, height: 48 } }, options)("start");
  const small = gaussian({ ...request, shape: [4, 6, 4] })();
  deepStrictEqual(resized[2 + 8], small[0]); // the small noise begins at row 1, column 2
  const moved = noiseOf({ ...request, seedDelta: 5 }, options);
  deepStrictEqual(moved("start"), plain);
  deepStrictEqual(moved(ancestral.steps[0]), gaussian({ seed: 8, rng: "nv", shape })());
});
