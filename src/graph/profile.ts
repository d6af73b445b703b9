/** Where a plan's time goes. */
import { Timings } from "../gpu/timing.ts";
import { type Launch, launchKey, type Plan } from "./plan.ts";

/** The dispatches of one pipeline over one number of workgroups, together. */
export interface ProfileRow {
  label: string;
  workgroups: string;
  count: number;
  ms: number;
  /** 10⁹ operations a second, 0 where memory takes the time. */
  gflops: number;
  /** 10⁹ bytes a second of the values read and written. */
  gbytes: number;
}

/** Medians over `runs` runs, in falling order of time. */
export async function profile(plan: Plan, runs = 3): Promise<ProfileRow[]> {
  plan.run(); // what is not done every time
  const groups = Map.groupBy(plan.repeated, launchKey);
  const times = new Map<string, number[]>([...groups.keys()].map((key) => [key, []]));
  for (let run = 0; run < runs; run++) {
    // Timestamps of a driver on the CPU are taken when work is queued, and say nothing.
    const measure = plan.device.software || !plan.device.timestamps ? timeGroups : timestamps;
    for (const [key, ms] of await measure(plan, groups)) times.get(key)!.push(ms);
  }
  const rows = [...groups].map(([key, launches]): ProfileRow => {
    const ms = times.get(key)!.sort((a, b) => a - b)[runs >> 1];
    const rate = (of: (launch: Launch) => number) => launches.reduce((sum, launch) => sum + of(launch), 0) / ms / 1e6;
    const [{ label, workgroups }] = launches;
    const rates = { gflops: rate(({ flops }) => flops), gbytes: rate(({ bytes }) => bytes) };
    return { label, workgroups: workgroups.join("×"), count: launches.length, ms, ...rates };
  });
  return rows.sort((a, b) => b.ms - a.ms);
}

async function timestamps(plan: Plan): Promise<Map<string, number>> {
  using timings = new Timings(plan.device);
  plan.run(timings);
  return new Map((await timings.read()).map(({ label, ms }) => [label, ms]));
}

/** Each group in a submit of its own, `repeats` times over, timed from outside less the time of an empty submit. */
async function timeGroups({ device }: Plan, groups: ReadonlyMap<string, Launch[]>): Promise<Map<string, number>> {
  const submit = async (launches: readonly Launch[], repeats: number): Promise<number> => {
    const encoder = device.gpu.createCommandEncoder();
    const pass = encoder.beginComputePass();
    for (let repeat = 0; repeat < repeats; repeat++) {
      for (const { pipeline, bindGroup, workgroups } of launches) {
        pass.setPipeline(pipeline);
        pass.setBindGroup(0, bindGroup);
        pass.dispatchWorkgroups(...workgroups);
      }
    }
    pass.end();
    const commands = encoder.finish(), began = performance.now();
    device.gpu.queue.submit([commands]);
    await device.idle();
    return performance.now() - began;
  };
  const times = new Map<string, number>();
  for (const [key, launches] of groups) {
    // A wait is heard of up to 12 ms late, so short groups are repeated until they outlast that.
    const empty = await submit([], 1), once = await submit(launches, 1);
    const repeats = Math.max(1, Math.min(20, Math.ceil(100 / Math.max(1, once - empty))));
    times.set(key, (repeats === 1 ? once - empty : await submit(launches, repeats) - empty) / repeats);
  }
  return times;
}
