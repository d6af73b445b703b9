/** `deno task parity`: how far the engine is from the reference's goldens. */
import { join } from "node:path";
import { parseArgs } from "node:util";
import type { DeviceOptions } from "../gpu/device.ts";
import { formatReport, summarise } from "../parity/report.ts";
import { type Finding, type ParityOptions, runParity } from "../parity/run.ts";

const USAGE = `deno task parity [DIR] [options]

Compares the engine with the goldens in DIR (default: tests/oracle), and exits with 1 if one is over its tolerance.

  --only TEXT        only cases that have TEXT in their name
  --dtype f32|f16    only this precision; both without it
  --models DIR       where folders of models are, beside DIR/models and weights
  --full             also the models of real sizes, which are written to .cache first
  --gpu INDEX|NAME   which GPU
  --path shuffle|tiled   kernels with subgroup operations or without; as the GPU has them without it
  --json             prints one JSON object
  --help             prints this`;

/** Thrown for options that make no sense, with what would do. */
class UsageError extends Error {}

interface Arguments {
  options: ParityOptions;
  json: boolean;
}

/** The options of a command line; undefined where it asks for help. Throws a UsageError. */
function parse(args: string[]): Arguments | undefined {
  const text = { type: "string" } as const, flag = { type: "boolean" } as const;
  const options = { only: text, dtype: text, models: text, gpu: text, path: text, full: flag, json: flag, help: flag };
  const { values, positionals } = (() => {
    try {
      return parseArgs({ args, options, allowPositionals: true });
    } catch (error) {
      throw new UsageError((error as Error).message.split(". ")[0]);
    }
  })();
  if (values.help) return undefined;
  const [folder = join(import.meta.dirname!, "..", "..", "tests", "oracle"), ...others] = positionals;
  if (others.length > 0) {
    throw new UsageError(`One folder is compared, not ${positionals.length}: ${positionals.join(", ")}`);
  }
  return {
    json: values.json ?? false,
    options: {
      folder,
      only: values.only,
      precision: oneOf("dtype", values.dtype, ["f32", "f16"]),
      models: values.models,
      full: values.full,
      device: { gpu: values.gpu, ...pathOf(oneOf("path", values.path, ["shuffle", "tiled"])) },
    },
  };
}

function oneOf<const Choice extends string>(name: string, value: string | undefined, choices: readonly Choice[]) {
  if (value === undefined || choices.includes(value as Choice)) return value as Choice | undefined;
  throw new UsageError(`--${name} is ${JSON.stringify(value)}: use ${choices.join(" or ")}`);
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
    if (error instanceof UsageError) console.error(`\n${USAGE}`);
    return 1;
  }
}

if (import.meta.main) Deno.exit(await parity(Deno.args));
