/** `deno task bench`: medians, and ratios to a peer measured in the same run. */
import { Engine } from "../engine/engine.ts";
import { defaultModel, locateModel, ModelNotFoundError } from "../engine/locate.ts";
import { profile } from "../graph/profile.ts";
import { callersModel, callersPath, parseFlags, UsageError } from "../std/command_line.ts";
import { printResults, type Result } from "./bench/measure.ts";
import { benchMemory } from "./bench/memory.ts";
import { benchPictures, make } from "./bench/pictures.ts";
import { benchEventLoop, benchFirstPicture } from "./bench/server.ts";

const help =
  `Usage: deno task bench [--model NAME|DIR] [--gpu INDEX|NAME] [--runs N] [--only TEXT] [--profile] [--memory]

  --model       by name or folder (default: MODEL, else ${defaultModel})
  --gpu         adapter by index or part of its name
  --runs N      counted runs of each measurement (default: 5)
  --only TEXT   first, pictures or loop: only that
  --profile     where the time of a step and of the decoder goes, by kernel and workgroups
  --memory      memory of a picture at Stable Diffusion 1.5's size, whose blank weights are written to .cache first
`;

/** The picture's two plans by kernel: time, share, rates. */
async function printProfile(model: string, gpu: string | undefined, runs: number): Promise<void> {
  using engine = await Engine.open({ model, gpu, log: console.error });
  await make(engine, { steps: 1 });
  const { width, height } = engine.info.model.defaults;
  const canvas = engine.canvas({ images: 1, height, width });
  for (const [name, open] of [["guided step", () => canvas.step(2)], ["decode", () => canvas.decode()]] as const) {
    const plan = await open(), rows = await profile(plan, runs), total = rows.reduce((sum, { ms }) => sum + ms, 0);
    console.log(
      `\n${name}, ${width}×${height}: ${plan.report.dispatches} dispatches, ${
        total.toFixed(0)
      } ms one kernel at a time`,
    );
    console.log("| ms | share | count | GFLOP/s | GB/s | workgroups | kernel |\n|---|---|---|---|---|---|---|");
    for (const { label, workgroups, count, ms, gflops, gbytes } of rows) {
      const share = `${(100 * ms / total).toFixed(1)} %`;
      console.log(
        `| ${ms.toFixed(2)} | ${share} | ${count} | ${gflops.toFixed(1)} | ${
          gbytes.toFixed(1)
        } | ${workgroups} | ${label} |`,
      );
    }
  }
}

interface CommandLine {
  model: string;
  gpu?: string;
  runs: number;
  only: string;
  profile: boolean;
  memory: boolean;
}

/** The groups of measurements, by what `--only` takes. */
const groups: Record<string, (commandLine: CommandLine) => Promise<Result[]>> = {
  first: ({ model, runs }) => benchFirstPicture(model, Math.min(runs, 3)),
  pictures: ({ model, gpu, runs }) => benchPictures(model, gpu, runs),
  loop: ({ model, gpu, runs }) => benchEventLoop(model, gpu, runs),
};

/** The command line; undefined where it asks for help. */
function parse(args: string[]): CommandLine | undefined {
  const text = { type: "string" } as const, flag = { type: "boolean" } as const;
  const { values } = parseFlags({
    args,
    options: { model: text, gpu: text, runs: text, only: text, profile: flag, memory: flag, help: flag },
  });
  if (values.help) return undefined;
  const { runs = "5", only = "", gpu = Deno.env.get("GPU") || undefined, profile = false, memory = false } = values;
  if (!/^[1-9]\d{0,5}$/.test(runs)) {
    throw new UsageError(`Cannot use --runs ${JSON.stringify(runs)}, a whole number from 1 would do`);
  }
  const names = Object.keys(groups);
  if (!names.some((name) => name.includes(only))) {
    throw new UsageError(`Cannot use --only ${JSON.stringify(only)}, ${names.join(", ")} would do`);
  }
  const modelsDir = Deno.env.get("MODELS_DIR");
  const named = callersModel(values.model ?? (Deno.env.get("MODEL") || defaultModel));
  const model = locateModel(named, { modelsDir: modelsDir && callersPath(modelsDir) });
  return { model, gpu, runs: Number(runs), only, profile, memory };
}

/** Runs the command and resolves with its exit code: 0, or 2 for what was asked wrongly. */
async function bench(args: string[]): Promise<number> {
  let commandLine: CommandLine | undefined;
  try {
    commandLine = parse(args);
  } catch (error) {
    if (!(error instanceof UsageError || error instanceof ModelNotFoundError)) throw error;
    console.error(error.message);
    return 2;
  }
  if (!commandLine) {
    console.log(help);
  } else if (commandLine.memory) {
    await benchMemory(commandLine.gpu);
  } else if (commandLine.profile) {
    await printProfile(commandLine.model, commandLine.gpu, commandLine.runs);
  } else {
    const results: Result[] = [];
    for (const [name, run] of Object.entries(groups)) {
      if (name.includes(commandLine.only)) results.push(...await run(commandLine));
    }
    printResults(results);
  }
  return 0;
}

if (import.meta.main) Deno.exit(await bench(Deno.args));
