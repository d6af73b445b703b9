/**
 * Copies the scheduler goldens, `schedulers.json` and `schedulers.safetensors` of one folder, into another. Of each
 * trajectory only the latents after the first row, halfway and last are kept, which `rows` of its case says; an error
 * anywhere reaches the last.
 *
 *     deno run --allow-read --allow-write --allow-ffi tests/oracle/copy_schedulers.ts FROM tests/oracle/goldens
 */
import { openCheckpoint } from "../../src/checkpoint/safetensors.ts";
import { type TensorData, writeSafetensors } from "../../src/checkpoint/write.ts";

/** Tensors that belong to no case. */
const COMMON = ["init", "x0", "noise", "alphas_cumprod", "alphas_cumprod_zero_snr"];
/** Keys of a case that are kept. */
const KEYS = ["name", "scheduler", "kind", "options", "step_options", "steps", "strength", "init_noise_sigma", "timesteps"];

const [from, to] = Deno.args;
if (!to) throw new Error("Say where from and where to: copy_schedulers.ts FROM TO");
const { cases, ...index } = JSON.parse(Deno.readTextFileSync(`${from}/schedulers.json`));
using source = openCheckpoint(`${from}/schedulers.safetensors`);
const tensors = new Map<string, TensorData>();

function copy(name: string, rows?: readonly number[]): void {
  const { dtype, shape } = source.tensors.get(name)!, data = source.bytes(name), size = data.byteLength / shape[0];
  if (!rows) return void tensors.set(name, { dtype, shape, data });
  const kept = new Uint8Array(rows.length * size);
  for (const [i, row] of rows.entries()) kept.set(data.subarray(row * size, (row + 1) * size), i * size);
  tensors.set(name, { dtype, shape: [rows.length, ...shape.slice(1)], data: kept });
}

for (const name of COMMON) copy(name);
for (const one of Object.values(index.add_noise_20_steps).flat()) copy((one as { output: string }).output);
index.cases = cases.map((one: Record<string, string>) => {
  const [count] = source.tensors.get(one.trajectory)!.shape;
  // The reference itself keeps only a few rows of long trajectories: all of these.
  const isFew = count === 5 && Number(one.steps) > 100;
  const rows = isFew ? undefined : [...new Set([Math.min(1, count - 1), count >> 1, count - 1])];
  copy(one.trajectory, rows);
  copy(one.timesteps);
  const kept = Object.fromEntries(Object.entries(one).filter(([key]) => KEYS.includes(key)));
  return { ...kept, trajectory: one.trajectory, rows };
});
writeSafetensors(`${to}/schedulers.safetensors`, tensors);
Deno.writeTextFileSync(`${to}/schedulers.json`, JSON.stringify(index) + "\n");
console.log(`${cases.length} cases, ${tensors.size} tensors`);
