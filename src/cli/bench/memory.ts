/** Device and host memory of a full-size picture under several budgets. */
import { fileURLToPath } from "node:url";
import { formatBytes } from "../../engine/residency.ts";
import type { MemoryResult, MemoryRun } from "./memory_run.ts";
import { fullModel } from "./sd15.ts";

const GiB = 2 ** 30;
const child = fileURLToPath(new URL("./memory_run.ts", import.meta.url));
/** Milliseconds between two looks at a process. */
const interval = 200;

/** What is run: the text, one guided step and the decoder; from a picture also the encoder. */
const runs = [false, true].flatMap((fromImage) =>
  [2.5, 2].map((budget): Omit<MemoryRun, "model" | "gpu"> => {
    return { precision: "f16", budget: budget * GiB, height: 512, width: 512, fromImage };
  })
);

/** Prints a table for BENCHMARKS.md. */
export async function benchMemory(gpu: string | undefined): Promise<void> {
  const model = fullModel();
  console.log(
    "| size | budget | device memory, peak | host memory beside files, peak | more than the device's | left for others | step | decode |",
  );
  console.log("|---|---|---|---|---|---|---|---|");
  for (const run of runs) {
    const { result, host } = await watched({ ...run, model, gpu });
    const { peak, evictions, timing, software } = result;
    const over = host === undefined ? "" : formatBytes(host - (software ? peak : 0));
    const seconds = (ms: number) => `${(ms / 1000).toFixed(1)} s`;
    const size = `${run.width}×${run.height} ${run.precision}${run.fromImage ? ", from a picture" : ""}`;
    const columns = [size, formatBytes(run.budget), formatBytes(peak)];
    columns.push(host === undefined ? "" : formatBytes(host), over, `${evictions} times`);
    console.log(`| ${[...columns, seconds(timing.denoise), seconds(timing.decode)].join(" | ")} |`);
  }
}

/** A run and the most memory that its process had in use beside pages of files; that is known on Linux alone. */
async function watched(run: MemoryRun): Promise<{ result: MemoryResult; host?: number }> {
  const permissions = ["read", "write", "env", "ffi", "sys"].map((name) => `--allow-${name}`);
  const args = ["run", "--quiet", ...permissions, child, JSON.stringify(run)];
  const process = new Deno.Command(Deno.execPath(), { args, stdout: "piped", stderr: "inherit" }).spawn();
  let host: number | undefined;
  const timer = setInterval(async () => {
    const bytes = await hostBytes(process.pid);
    if (bytes !== undefined) host = Math.max(host ?? 0, bytes);
  }, interval);
  const { success, stdout } = await process.output();
  clearInterval(timer);
  if (!success) throw new Error(`The run of ${JSON.stringify(run)} failed`);
  return { result: JSON.parse(new TextDecoder().decode(stdout)), host };
}

/** Anonymous and shared memory of a process, which Linux tells apart from pages of files. */
async function hostBytes(pid: number): Promise<number | undefined> {
  if (Deno.build.os !== "linux") return undefined;
  const { stdout } = await new Deno.Command("cat", { args: [`/proc/${pid}/status`], stderr: "null" }).output();
  const fields = new TextDecoder().decode(stdout).matchAll(/^(?:RssAnon|RssShmem):\s+(\d+) kB$/gm);
  const bytes = Array.from(fields, ([, kilobytes]) => 1024 * Number(kilobytes));
  return bytes.length === 2 ? bytes[0] + bytes[1] : undefined;
}
