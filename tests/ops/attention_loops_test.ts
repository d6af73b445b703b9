import { ok, strictEqual } from "node:assert/strict";
import { Graph } from "../../src/graph/graph.ts";
import { attention } from "../../src/ops/attention.ts";

/** Keys a block of the kernel, for one head of `channels` over `pixels`, with `lanes` lanes a subgroup. */
function keysPerBlock(lanes: number, pixels: number, channels: number): number {
  const graph = new Graph({
    subgroupSize: lanes,
    weightStorage: "buffer",
    weightType: "f32",
    operandType: "f32",
    hiddenType: "f32",
  });
  const [q, k, v] = ["q", "k", "v"].map((name) => graph.input(name, [1, pixels, channels], "f32"));
  attention(q, k, v, { heads: 1 });
  return graph.dispatches[0].constants.KEYS as number;
}

Deno.test("attention() takes a key for each lane while its loops are within the budget", () => {
  for (const lanes of [4, 8, 32]) strictEqual(keysPerBlock(lanes, 1024, 320), lanes);
});

Deno.test("attention() takes longer blocks of keys where a VAE's head over 512 by 512 pixels or more would pass it", () => {
  strictEqual(keysPerBlock(8, 64 * 64, 512), 16);
  strictEqual(keysPerBlock(32, 64 * 64, 512), 32);
  ok(keysPerBlock(8, 96 * 96, 512) > 16);
});
