/** `deno task parity`: how far the engine is from the reference's goldens. */
import { join } from "node:path";
import type { DeviceOptions } from "../gpu/device.ts";
import { formatReport, summarise } from "../parity/report.ts";
import { type Finding, type ParityOptions, runParity } from "../parity/run.ts";
import { callersPath, parseFlags, UsageError } from "../std/command_line.ts";

const USAGE = `deno task parity [DIR] [options]

Compares the engine with the goldens in DIR (default: tests/oracle), and exits with 1 if one is over its tolerance, with 2
where the command makes no sense.

  --only TEXT        only cases that have TEXT in their name
  --dtype f32|f16    only this precision; both without it
  --models DIR       where folders of models are, beside DIR/models and weights
  --full             also the models of real sizes, which are written to .cache first
  --gpu INDEX|NAME   which GPU
  --path shuffle|tiled   kernels with subgroup operations or without; as the GPU has them without it
  --json             prints one JSON object
  --help             prints this`;

interface Arguments {
  options: ParityOptions;
  json: boolean;
}

/** The options of a command line; undefined where it asks for help. Throws a UsageError. */
function parse(args: string[]): Arguments | undefined {
  const text = { type: "string" } as const, flag = { type: "boolean" } as const;
  const options = { only: text, dtype: text, models: text, gpu: text, path: text, full: flag, json: flag, help: flag };
  const { values, positionals } = parseFlags({ args, options, allowPositionals: true });
  if (values.help) return undefined;
  const [folder = join(import.meta.dirname!, "..", "..", "tests", "oracle"), ...others] = positionals.map(callersPath);
  if (others.length > 0) {
    throw new UsageError(`Cannot compare ${positionals.length} folders, one at a time would do`);
  }
  return {
    json: values.json ?? false,
    options: {
      folder,
      only: values.only,
      precision: oneOf("dtype", values.dtype, ["f32", "f16"]),
      models: values.models && callersPath(values.models),
      full: values.full,
      device: { gpu: values.gpu, ...pathOf(oneOf("path", values.path, ["shuffle", "tiled"])) },
    },
  };
}

function oneOf<const Choice extends string>(name: string, value: string | undefined, choices: readonly Choice[]) {
  if (value === undefined || choices.includes(value as Choice)) return value as Choice | undefined;
  throw new UsageError(`Cannot use --${name} ${JSON.stringify(value)}, ${choices.join(" or ")} would do`);
}

function pathOf(path: "shuffle" | "tiled" | undefined): DeviceOptions {
  switch (path) {
    case undefined:
      return {};
    case "shuffle":
      return { subgroups: true };
    case "tiled":
      return { subgroups: false, weightStorage: "buffer" };
    default:
      return path satisfies never;
  }
}

/** Runs the command and prints its report; what the process should exit with. */
export async function parity(args: string[]): Promise<number> {
  const terminal = Deno.stderr.isTerminal();
  try {
    const parsed = parse(args);
    if (!parsed) {
      console.log(USAGE);
      return 0;
    }
    const findings: Finding[] = [], began = performance.now();
    const log = (line: string) => terminal && console.error(line);
    for await (const finding of runParity({ ...parsed.options, log })) findings.push(finding);
    const report = summarise(findings), seconds = Math.round((performance.now() - began) / 100) / 10;
    const { folder } = parsed.options;
    console.log(
      parsed.json
        ? JSON.stringify({ folder, seconds, ...report })
        : `${folder}\n\n${formatReport(report)}, ${seconds} s`,
    );
    return report.passed ? 0 : 1;
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    console.error(error.message);
    return error instanceof UsageError ? 2 : 1;
  }
}

if (import.meta.main) Deno.exit(await parity(Deno.args));
