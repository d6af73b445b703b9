/** Where plans spend their time, kernel by kernel, beside what the device can do at most. */
import type { Device } from "../../gpu/device.ts";
import type { Plan } from "../../graph/plan.ts";
import { profile } from "../../graph/profile.ts";
import { measureRoofline } from "./roofline.ts";

/**
 * Prints a table for each plan. The last column is the time that the row's arithmetic or its values' bytes, whichever
 * takes longer, would need at the device's best, as a share of the time it takes; weights' bytes are not in it.
 */
export async function printProfile(
  device: Device,
  plans: readonly (readonly [name: string, open: () => Promise<Plan>])[],
  runs: number,
): Promise<void> {
  const { gflops: mostFlops, gbytes: mostBytes } = await measureRoofline(device);
  console.log(
    `\nRoofline of ${device.name}: ${mostFlops.toFixed(1)} GFLOP/s of f32 multiplications and additions, ` +
      `${mostBytes.toFixed(1)} GB/s of copying, both measured just now`,
  );
  for (const [name, open] of plans) {
    const plan = await open(), rows = await profile(plan, runs), total = rows.reduce((sum, { ms }) => sum + ms, 0);
    console.log(`\n${name}: ${plan.report.dispatches} dispatches, ${total.toFixed(0)} ms one kernel at a time`);
    console.log("| ms | share | count | GFLOP/s | GB/s | of roofline | workgroups | kernel |");
    console.log("|---|---|---|---|---|---|---|---|");
    for (const { label, workgroups, count, ms, gflops, gbytes } of rows) {
      const cells = [
        ms.toFixed(2),
        percent(ms / total),
        count,
        gflops.toFixed(1),
        gbytes.toFixed(1),
        percent(Math.max(gflops / mostFlops, gbytes / mostBytes)),
        workgroups,
        label,
      ];
      console.log(`| ${cells.join(" | ")} |`);
    }
  }
}

function percent(share: number): string {
  return `${(100 * share).toFixed(1)} %`;
}
