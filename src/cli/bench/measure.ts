/** Timing by the median, and the table that results are printed as. */

/** The middle of several measurements of one thing. */
export function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1];
}

/** The value that `share` of the measurements do not exceed. */
export function percentile(values: readonly number[], share: number): number {
  return values.toSorted((a, b) => a - b)[Math.min(values.length - 1, Math.floor(share * values.length))];
}

/** One line of results: what, the median of `ms`, and the ratios to peers measured in the same run. */
export interface Result {
  what: string;
  ms: readonly number[];
  peers?: readonly { name: string; ms: readonly number[] }[];
}

/** Milliseconds that `run` takes. */
export async function timed(run: () => Promise<unknown>): Promise<number> {
  const began = performance.now();
  await run();
  return performance.now() - began;
}

/** Runs `a` and `b` in turn, A B A B …, after one uncounted run of each: so that both see the same weather. */
export async function alternate(
  runs: number,
  a: () => Promise<unknown>,
  b: () => Promise<unknown>,
): Promise<[a: number[], b: number[]]> {
  const times: [number[], number[]] = [[], []];
  for (let run = -1; run < runs; run++) {
    for (const [i, each] of [a, b].entries()) {
      const ms = await timed(each);
      if (run >= 0) times[i].push(ms);
    }
  }
  return times;
}

/** Prints results as a table for BENCHMARKS.md. */
export function printResults(results: readonly Result[]): void {
  console.log("| what | median | least … most | runs | peers |\n|---|---|---|---|---|");
  for (const { what, ms, peers = [] } of results) {
    const ratios = peers.filter((peer) => peer.ms.length > 0).map((peer) =>
      `${(median(ms) / median(peer.ms)).toFixed(2)} × ${peer.name} (${format(median(peer.ms))})`
    );
    const range = `${format(Math.min(...ms))} … ${format(Math.max(...ms))}`;
    console.log(`| ${what} | ${format(median(ms))} | ${range} | ${ms.length} | ${ratios.join(", ")} |`);
  }
}

/** A time as people read it. */
export function format(ms: number): string {
  return ms >= 1000 ? `${(ms / 1000).toFixed(2)} s` : ms >= 10 ? `${ms.toFixed(0)} ms` : `${ms.toFixed(2)} ms`;
}
