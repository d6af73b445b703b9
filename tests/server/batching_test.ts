import assert from "node:assert/strict";
import { parseRequest } from "../../src/engine/request.ts";
import { Batching } from "../../src/server/batching.ts";
import { info } from "./fake_engine.ts";

function alike(fields: Record<string, unknown>, { most = 8, fromImage = false } = {}): string | undefined {
  const { request } = parseRequest(new Map(Object.entries({ prompt: "x", ...fields })), info);
  return new Batching({ most }).alike(request, { fromImage });
}

Deno.test("jobs of one picture from text are alike that differ in prompts, seeds and previews, and in nothing else", () => {
  const plain = alike({});
  assert.ok(plain);
  for (
    const fields of [
      { prompt: "y", negative_prompt: "z", clip_skip: 2, emphasis: "none", prompt_syntax: "plain" },
      { seed: 5, subseed: 3, subseed_strength: 0.5, rng: "cpu", eta_noise_seed_delta: 1 },
      { previews: 3, keep_alive: "5m", width: 64 },
    ]
  ) assert.equal(alike(fields), plain, JSON.stringify(fields));
  const others = [
    { width: 128 },
    { height: 128 },
    { steps: 9 },
    { cfg_scale: 4 },
    { cfg_end: 0.5 },
    { sampler: "euler" },
    { scheduler: "karras" },
    { eta: 0.5 },
    { tiling: true },
    { token_merging_ratio: 0.5 },
  ].map((fields) => alike(fields));
  assert.ok(others.every((key) => key !== undefined));
  assert.equal(new Set([plain, ...others]).size, others.length + 1);
});

Deno.test("jobs of several pictures, from a picture, of two passes or with a cache of their own run alone, and all where 1 is asked for", () => {
  for (const fields of [{ n: 2 }, { n_iter: 2 }, { enable_hr: true }, { step_cache: 2 }]) {
    assert.equal(alike(fields), undefined, JSON.stringify(fields));
  }
  assert.equal(alike({}, { fromImage: true }), undefined);
  assert.equal(alike({}, { most: 1 }), undefined);
});

const key = alike({})!, other = alike({ width: 128 })!;

Deno.test("one runs alone, then two together, then twice as many as long as that was better", () => {
  const batching = new Batching({ most: 8 }), chosen: number[] = [];
  const ms: Record<number, number> = { 1: 40, 2: 48, 4: 64, 8: 130 };
  for (let run = 0; run < 6; run++) {
    const count = batching.together(key, 16);
    chosen.push(count);
    for (let step = 0; step < 2; step++) batching.took(key, count, ms[count]);
  }
  // Sixteen in eights are done after 195 ms a step on average, in fours after 160.
  assert.deepEqual(chosen, [1, 2, 4, 8, 4, 4]);
  assert.deepEqual([1, 2, 3, 4, 5, 8].map((waiting) => batching.together(key, waiting)), [1, 2, 2, 4, 4, 4]);
  assert.deepEqual([2, 4].map((count) => batching.share(key, count)), [0.6, 0.4]);
  assert.equal(batching.together(other, 16), 1, "of another size nothing is known");
  assert.equal(batching.share(other, 4), 1);
});

Deno.test("where a step is its arithmetic two are tried once, and then each runs alone", () => {
  const batching = new Batching({ most: 8 }), chosen: number[] = [];
  for (let run = 0; run < 5; run++) {
    const count = batching.together(key, 16);
    chosen.push(count);
    for (let step = 0; step < 20; step++) batching.took(key, count, 1000 * count);
  }
  assert.deepEqual(chosen, [1, 2, 1, 1, 1]);
});

Deno.test("the fastest of the last steps counts but the very first, and what is long ago is tried again", () => {
  const batching = new Batching({ most: 2 });
  batching.took(key, 1, 30); // kernels were compiled
  assert.equal(batching.together(key, 2), 1);
  batching.took(key, 1, 40);
  batching.took(key, 2, 900); // as they were here, of a job of one step: that decides nothing
  assert.equal(batching.together(key, 2), 2);
  batching.took(key, 2, 90);
  assert.equal(batching.together(key, 2), 1);
  batching.took(key, 2, 50);
  assert.equal(batching.together(key, 2), 2);
  for (let step = 0; step < 16; step++) batching.took(key, 2, 90); // from now on it takes so long
  assert.equal(batching.together(key, 2), 1);
  for (let step = 0; step < 1000; step++) batching.took(key, 1, 40);
  assert.equal(batching.together(key, 2), 2);
});
