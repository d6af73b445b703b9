/** `deno task pull owner/name`: a model from the Hugging Face hub into MODELS_DIR. */
import { resolve } from "node:path";
import { CheckpointError } from "../checkpoint/error.ts";
import { chooseWeights } from "../checkpoint/folder.ts";
import { openModel } from "../checkpoint/model.ts";
import { Hub, publicEndpoint } from "../hub/client.ts";
import type { Patience } from "../hub/download.ts";
import { HubError } from "../hub/error.ts";
import { pull } from "../hub/pull.ts";
import { callersPath, parseFlags, UsageError } from "../std/command_line.ts";
import { showDownload } from "./progress.ts";

const help = `Downloads a model from the Hugging Face hub.

Usage: deno task pull OWNER/NAME [options]
       deno task pull OWNER/NAME/FILE.safetensors [options]

  --dir DIR          folder of models it goes to (default: MODELS_DIR)
  --as NAME          what it is called there (default: the last part of its name)
  --revision NAME    branch, tag or commit (default: main)
  --full-precision   plain weights where there are .fp16 ones beside them
  --help             this text

HF_TOKEN is the token for private models and those whose owner asks for consent; HF_ENDPOINT is another hub's address
(default: ${publicEndpoint}). An interrupted download goes on when the same command is given again.`;

interface CommandLine {
  name: string;
  modelsDir: string;
  as?: string;
  revision?: string;
  prefer: "f16" | "f32";
}

/** Options of a command line; undefined where it asks for help. Throws a UsageError. */
function parse(args: string[]): CommandLine | undefined {
  const text = { type: "string" } as const, flag = { type: "boolean" } as const;
  const { values, positionals } = parseFlags({
    args,
    options: { dir: text, as: text, revision: text, "full-precision": flag, help: { ...flag, short: "h" } },
    allowPositionals: true,
  });
  if (values.help) return undefined;
  if (positionals.length !== 1) {
    throw new UsageError(`Cannot pull ${positionals.length} models, one owner/name would do`);
  }
  const dir = values.dir ?? (Deno.env.get("MODELS_DIR") || undefined);
  if (dir === undefined) {
    throw new UsageError("Cannot pull without a folder to put it in, MODELS_DIR or --dir would do");
  }
  const { as, revision } = values;
  return {
    name: positionals[0],
    modelsDir: callersPath(dir),
    as,
    revision,
    prefer: values["full-precision"] ? "f32" : "f16",
  };
}

/** Runs the command and resolves with its exit code: 0, 1 where the download failed, 2 for what was asked wrongly. */
export async function run(args: string[], patience?: Patience): Promise<number> {
  const write = (text: string) => void Deno.stderr.writeSync(new TextEncoder().encode(text));
  const progress = showDownload({ terminal: Deno.stderr.isTerminal(), write });
  try {
    const commandLine = parse(args);
    if (!commandLine) {
      console.log(help);
      return 0;
    }
    const { prefer, ...options } = commandLine;
    const hub = new Hub({
      endpoint: Deno.env.get("HF_ENDPOINT") || undefined,
      token: Deno.env.get("HF_TOKEN")?.trim() || undefined,
    });
    const path = await pull({
      ...options,
      hub,
      patience,
      weights: (names) => chooseWeights(names, prefer),
      observe: (now) => progress.update(now),
    });
    progress.end();
    console.log(resolve(path));
    tellWhetherItRuns(path);
    return 0;
  } catch (error) {
    progress.end();
    if (!(error instanceof HubError || error instanceof UsageError)) throw error;
    console.error(error.message);
    return error instanceof UsageError ? 2 : 1;
  }
}

/** What is downloaded stays, also where it is no model that can be served alone: it may be a VAE or wait for its time. */
function tellWhetherItRuns(path: string): void {
  try {
    openModel(path, { map: false });
  } catch (error) {
    if (!(error instanceof CheckpointError)) throw error;
    console.error(error.message);
  }
}

if (import.meta.main) Deno.exit(await run(Deno.args));
