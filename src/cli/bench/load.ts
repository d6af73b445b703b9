/** What clients that come all at once wait for: of a server in which jobs share batches, and of one in which each runs alone. */
import { median, type Result } from "./measure.ts";
import { withServer } from "./served.ts";

/** Clients at once. */
const clients = 16;
const sizes = [{ side: 64, steps: 2 }, { side: 128, steps: 20 }];
const prompts = [
  "a red circle on a blue background",
  "a yellow star",
  "a boat on the sea at sunset",
  "a tree in a field",
];

/** By size, until all clients have their pictures and until half of them have, beside those of `--batch 1`: both in turns. */
export async function benchLoad(
  { model, gpu, runs }: { model: string; gpu?: string; runs: number },
): Promise<Result[]> {
  return await withServer({ model, gpu }, async (together) => {
    return await withServer({ model, gpu, flags: ["--batch", "1"] }, async (alone) => {
      const results: Result[] = [];
      for (const size of sizes) {
        const all: number[][] = [[], []], half: number[][] = [[], []];
        // What runs together is learnt in the first round.
        for (let run = -1; run < runs; run++) {
          for (const [i, url] of [together, alone].entries()) {
            const ends = await load(url, { ...size, seed: clients * (run + 1) });
            if (run < 0) continue;
            all[i].push(Math.max(...ends));
            half[i].push(median(ends));
          }
        }
        const what = `${clients} pictures at once, ${size.side}×${size.side}, ${size.steps} steps`, name = "--batch 1";
        results.push({ what: `${what}, all of them`, ms: all[0], peers: [{ name, ms: all[1] }] });
        results.push({ what: `${what}, half of them`, ms: half[0], peers: [{ name, ms: half[1] }] });
      }
      return results;
    });
  });
}

/** Milliseconds until each of the clients has its picture. */
async function load(
  url: string,
  { side, steps, seed }: { side: number; steps: number; seed: number },
): Promise<number[]> {
  const began = performance.now();
  return await Promise.all(Array.from({ length: clients }, async (_, i) => {
    const fields = { prompt: prompts[i % prompts.length], width: side, height: side, steps, seed: seed + i };
    const query = new URLSearchParams(Object.entries(fields).map(([name, value]) => [name, `${value}`]));
    const response = await fetch(`${url}/generate?${query}`), picture = await response.bytes();
    if (!response.ok) throw new Error(`A picture failed: ${new TextDecoder().decode(picture)}`);
    return performance.now() - began;
  }));
}
