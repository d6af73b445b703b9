import assert from "node:assert/strict";
import { linspace, roundHalfEven, sigmaAt, spaceTimesteps, timestepFinder } from "../../src/samplers/schedule.ts";
import { karrasSigmas } from "../../src/samplers/spread.ts";

Deno.test("spaceTimesteps() spreads 4 of 1000 timesteps as the three spacings define", () => {
  const options = { training: 1000, offset: 0, steps: 4 };
  assert.deepEqual(spaceTimesteps({ ...options, spacing: "leading" }), [750, 500, 250, 0]);
  assert.deepEqual(spaceTimesteps({ ...options, spacing: "leading", offset: 1 }), [751, 501, 251, 1]);
  assert.deepEqual(spaceTimesteps({ ...options, spacing: "trailing" }), [999, 749, 499, 249]);
  assert.deepEqual(spaceTimesteps({ ...options, spacing: "linspace" }), [999, 666, 333, 0]);
});

Deno.test("spaceTimesteps() rounds halves as numpy.arange's own rounding errors have them", () => {
  const timesteps = spaceTimesteps({ spacing: "trailing", training: 1000, offset: 0, steps: 48 });
  assert.deepEqual(timesteps.slice(0, 10), [999, 978, 957, 936, 916, 895, 874, 853, 832, 811]);
});

Deno.test("spaceTimesteps() gives as many timesteps as steps, none below 0, for every number of steps", () => {
  for (const spacing of ["leading", "trailing", "linspace"] as const) {
    for (let steps = 1; steps <= 1000; steps++) {
      const timesteps = spaceTimesteps({ spacing, training: 1000, offset: 0, steps });
      assert.equal(timesteps.length, steps, `${spacing}, ${steps} steps`);
      assert.ok(timesteps.every((timestep) => timestep >= 0 && timestep <= 999), `${spacing}, ${steps} steps`);
    }
  }
});

Deno.test("karrasSigmas() falls from the largest to the smallest sigma", () => {
  const sigmas = karrasSigmas({ min: 0.1, max: 10, steps: 5 });
  assert.deepEqual([sigmas.length, sigmas[0].toFixed(9), sigmas[4].toFixed(9)], [5, "10.000000000", "0.100000000"]);
  assert.ok(sigmas.every((sigma, i) => i === 0 || sigma < sigmas[i - 1]));
  assert.equal(karrasSigmas({ min: 0.1, max: 10, steps: 1 }).length, 1);
});

Deno.test("timestepFinder() undoes sigmaAt() at whole timesteps and stops at both ends", () => {
  const sigmas = Float32Array.of(0.1, 0.5, 2, 14);
  assert.deepEqual(Array.from(sigmas, timestepFinder(sigmas)).map((t) => t.toFixed(4)), [
    "0.0000",
    "1.0000",
    "2.0000",
    "3.0000",
  ]);
  assert.deepEqual([0, 0.01, 99].map(timestepFinder(sigmas)), [0, 0, 3]);
  assert.equal(sigmaAt(1.5, sigmas), 1.25);
  assert.deepEqual([sigmaAt(-1, sigmas), sigmaAt(9, sigmas)], [sigmas[0], sigmas[3]]);
});

Deno.test("linspace() includes both ends, and only the first where one number is wanted", () => {
  assert.deepEqual(linspace(0, 1, 5), [0, 0.25, 0.5, 0.75, 1]);
  assert.deepEqual(linspace(3, 9, 1), [3]);
});

Deno.test("roundHalfEven() takes the even one of two neighbours", () => {
  assert.deepEqual([0.5, 1.5, 2.5, -0.5, -1.5, 2.4, 2.6].map(roundHalfEven), [0, 2, 2, -0, -2, 2, 3].map((x) => x + 0));
});
