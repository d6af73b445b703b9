/** `deno task tune`: measures which kernels run fastest on this machine's GPU, and keeps it for the server and the tools. */
import { dirname } from "node:path";
import { type Compared, tune } from "../engine/tune.ts";
import { tuningPath, writeTuning } from "../engine/tuning.ts";
import { parseFlags, UsageError } from "../std/command_line.ts";

const help = `Measures which kernels run fastest on this machine's GPU, and keeps what it finds in .cache/tuning.json,
where serve, generate and bench --full look it up by the adapter. Takes three minutes on a software driver.
Without it they take what is usual for a GPU, or for a software driver. To be run again with another driver or
another version of this programme: of most they take notice, and say so.

Usage: deno task tune [--gpu INDEX|NAME]

  --gpu INDEX|NAME   adapter to measure (default: GPU, else the most capable)
  --help             this text`;

if (import.meta.main) Deno.exit(await run(Deno.args));

/** Runs the command and resolves with its exit code: 0, or 2 for what was asked wrongly. */
async function run(args: string[]): Promise<number> {
  try {
    const { values } = parseFlags({ args, options: { gpu: { type: "string" }, help: { type: "boolean" } } });
    if (values.help) {
      console.log(help);
      return 0;
    }
    checkWritable();
    const gpu = values.gpu ?? (Deno.env.get("GPU") || undefined);
    console.log("| what | usual | others | chosen |\n|---|---|---|---|");
    const { adapter, tuning } = await tune({ gpu, observe: show });
    writeTuning(tuningPath, adapter, tuning);
    console.error(`${adapter.name}: kept in ${tuningPath}; a server takes it when it starts`);
    return 0;
  } catch (error) {
    if (!(error instanceof UsageError) && !/^No GPU /.test((error as Error).message)) throw error;
    console.error((error as Error).message);
    return 2;
  }
}

/** Before minutes are spent on what could not be kept. @throws {UsageError} */
function checkWritable(): void {
  try {
    Deno.mkdirSync(dirname(tuningPath), { recursive: true });
    Deno.removeSync(Deno.makeTempFileSync({ dir: dirname(tuningPath) }));
  } catch (error) {
    const { message } = error as Error;
    throw new UsageError(
      `Cannot keep anything in ${dirname(tuningPath)}: ${message}; a folder that can be written would do`,
    );
  }
}

function show({ what, ms, chosen }: Compared): void {
  const [usual, ...others] = Object.entries(ms).map(([name, each]) =>
    `${name} ${Number.isFinite(each) ? `${each.toFixed(2)} ms` : "does not run"}`
  );
  console.log(`| ${what} | ${usual} | ${others.join(", ")} | ${chosen} |`);
}
