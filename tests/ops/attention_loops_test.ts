import { deepStrictEqual, ok } from "node:assert/strict";
import { Graph } from "../../src/graph/graph.ts";
import { attention } from "../../src/ops/attention.ts";

/** Keys a block of the kernel and vec4s a round of its score loop, for one head of `channels` over `pixels`, with `lanes` lanes a subgroup. */
function rounds(lanes: number, pixels: number, channels: number): { KEYS: number; PARTS: number } {
  const graph = new Graph({
    subgroupSize: lanes,
    weightStorage: "buffer",
    weightType: "f32",
    operandType: "f32",
    hiddenType: "f32",
  });
  const [q, k, v] = ["q", "k", "v"].map((name) => graph.input(name, [1, pixels, channels], "f32"));
  attention(q, k, v, { heads: 1 });
  const { KEYS, PARTS } = graph.dispatches[0].constants;
  return { KEYS: Number(KEYS), PARTS: Number(PARTS) };
}

Deno.test("attention() takes a key for each lane while its loops are within the budget", () => {
  for (const lanes of [4, 8, 32]) {
    deepStrictEqual(rounds(lanes, 1024, 320), { KEYS: lanes, PARTS: 1 });
  }
});

Deno.test("attention() takes several vec4s a round, and then longer blocks of keys, where a VAE's large picture would pass it", () => {
  deepStrictEqual(rounds(8, 64 * 64, 512), { KEYS: 8, PARTS: 2 });
  deepStrictEqual(rounds(32, 64 * 64, 512), { KEYS: 32, PARTS: 1 });
  ok(rounds(8, 128 * 128, 512).KEYS > 8);
});
