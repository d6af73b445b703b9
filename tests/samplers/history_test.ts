import assert from "node:assert/strict";
import { placeHistory } from "../../src/samplers/history.ts";
import type { Step } from "../../src/samplers/mod.ts";

const plain: Step = {
  timestep: 0,
  level: { signal: 1, noise: 1 },
  inputScale: 1,
  skip: 1,
  out: 1,
  x: 1,
  denoised: [1],
  noise: 0,
};
const rows = (...changes: Partial<Step>[]): Step[] => changes.map((change) => ({ ...plain, ...change }));

Deno.test("placeHistory() keeps a prediction until the last row that reads it, and then reuses its slot", () => {
  const places = placeHistory(rows({}, { denoised: [1, 2] }, { denoised: [3] }, { denoised: [4, 5] }), 2);
  assert.deepEqual(places, [
    { slot: 0, saveSlot: -1, weights: [1, 0] },
    { slot: 1, saveSlot: -1, weights: [2, 1] },
    { slot: 0, saveSlot: -1, weights: [3, 0] },
    { slot: 1, saveSlot: -1, weights: [5, 4] },
  ]);
});

Deno.test("placeHistory() passes over predictions that nobody reads, however many rows ago the others are", () => {
  const places = placeHistory(rows({}, {}, {}, { denoised: [1, 0, 0, 7] }), 2);
  assert.deepEqual(places.map(({ slot }) => slot), [0, 1, 1, 1]);
  assert.deepEqual(places[3].weights, [7, 1]);
});

Deno.test("placeHistory() keeps saved latents until they are read last or saved anew", () => {
  const places = placeHistory(
    rows({ saves: true }, { fromSaved: 2 }, { saves: true, fromSaved: 3 }, { fromSaved: 4 }),
    3,
  );
  assert.deepEqual(places, [
    { slot: 0, saveSlot: 1, weights: [1, 0, 0] },
    { slot: 0, saveSlot: -1, weights: [1, 2, 0] },
    { slot: 0, saveSlot: 2, weights: [1, 3, 0] },
    { slot: 0, saveSlot: -1, weights: [1, 0, 4] },
  ]);
});

Deno.test("placeHistory() refuses rows that need more slots, or what no row made", () => {
  assert.throws(() => placeHistory(rows({}, { denoised: [1, 1] }, { denoised: [1, 1, 1] }), 2), /history's 2 slots/);
  assert.throws(() => placeHistory(rows({ denoised: [1, 1] }), 2), /Row 0 .* reads what no row before it made/);
  assert.throws(() => placeHistory(rows({ fromSaved: 1 }), 2), /Row 0/);
});
