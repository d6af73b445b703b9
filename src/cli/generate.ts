/** `deno task generate "a prompt" -o out.png`: one picture by the server's own engine, without the server. */
import { dirname } from "node:path";
import { hostBytes } from "../engine/budget.ts";
import { createEngine, EngineError } from "../engine/client.ts";
import type { Precision } from "../engine/protocol.ts";
import { defaultModel, locateModel, ModelNotFoundError } from "../engine/locate.ts";
import { encodePictures } from "../engine/picture.ts";
import { type FieldName, parseRequest, RequestError } from "../engine/request.ts";
import { attachPictures, pictureCount, preparationOf, sideMultiple } from "../engine/tasks.ts";
import { readTunings, tuningPath } from "../engine/tuning.ts";
import { taskFlags, taskHelp } from "./task_flags.ts";
import { textFlags, textHelp } from "./text_flags.ts";
import { PictureError, PictureReader } from "../image/read.ts";
import { callersModel, callersPath, parseFlags, UsageError } from "../std/command_line.ts";
import { showProgress } from "./progress.ts";

/** Flags that are fields of a request, in the server's words with hyphens. */
export const fieldFlags = [
  "negative_prompt",
  "width",
  "height",
  "steps",
  "cfg_scale",
  "sampler",
  "scheduler",
  "seed",
  "rng",
  "eta",
  ...textFlags,
  ...taskFlags,
] as const satisfies FieldName[];

const help = `Makes one picture and writes it as PNG.

Usage: deno task generate "a prompt" [-o out.png] [options]

  -o, --output FILE        where the picture goes, out.png where not given
  --negative-prompt TEXT   what it should not show
  --width, --height N      pixels, multiples of 8
  --steps N                1 to 150
  --cfg-scale N            weight of the prompt
  --sampler NAME           euler, heun, dpmpp_2m, unipc, ddim, lcm and others, or A1111's names
  --scheduler NAME         automatic, karras, exponential, beta and others
  --seed N                 0 to 4294967295; chosen where not given
  --rng NAME               nv or cpu
  --eta N                  0 to 1, of ddim, tcd and those that add noise
${textHelp}
${taskHelp}
  --model NAME|PATH        ${defaultModel} where not given
  --vae PATH               VAE instead of the model's own
  --gpu INDEX|NAME         adapter to use
  --precision TYPE         f16, f32 or auto: f16 where the adapter has it, but for small models on a software adapter
  --help                   this text

What is not given is the model's default.`;

/** The picture is made and cannot be written. */
class OutputError extends Error {
  override name = "OutputError";
}

interface CommandLine {
  fields: Map<string, unknown>;
  /** Where the picture goes: as it was given, for sentences. */
  output: string;
  model: string;
  vae?: string;
  gpu?: string;
  /** Chosen by model and adapter where absent. */
  precision?: Precision;
}

if (import.meta.main) Deno.exit(await run(Deno.args));

/** Runs the command and resolves with its exit code: 0, 1 for a failure, 2 for what was asked wrongly. */
export async function run(args: string[]): Promise<number> {
  try {
    const commandLine = await parseCommandLine(args);
    if (commandLine) await generate(commandLine);
    else console.log(help);
    return 0;
  } catch (error) {
    const wronglyAsked = [UsageError, RequestError, PictureError, ModelNotFoundError].some((kind) =>
      error instanceof kind
    );
    if (!wronglyAsked && !(error instanceof EngineError) && !(error instanceof OutputError)) throw error;
    console.error((error as Error).message);
    return wronglyAsked || (error instanceof EngineError && error.code === "invalid_request") ? 2 : 1;
  }
}

async function generate({ fields, output, model, vae, gpu, precision }: CommandLine): Promise<void> {
  const terminal = Deno.stderr.isTerminal();
  const progress = showProgress({ terminal, write: (text) => Deno.stderr.writeSync(new TextEncoder().encode(text)) });
  const [modelsDir, embeddingsDir] = ["MODELS_DIR", "EMBEDDINGS_DIR"].map((name) => {
    const folder = Deno.env.get(name);
    return folder ? callersPath(folder) : undefined;
  });
  const homes = { modelsDir, embeddingsDir };
  const engine = createEngine({
    model: locateModel(callersModel(model), homes),
    homes,
    vae: vae && callersPath(vae),
    gpu,
    tunings: readTunings(tuningPath, console.error),
    precision,
    hostBytes: hostBytes(),
    warm: false,
    gpuTimeout: Infinity, // nothing has said how long a step takes, and who waits can end it
    log: console.error,
  });
  using pictures = new PictureReader();
  try {
    const info = await engine.ready;
    const { request, initImageFile: picture, maskFile: mask } = parseRequest(fields, info);
    if (picture) {
      attachPictures(request, await pictures.prepare({ picture, mask }, preparationOf(request, sideMultiple)));
    }
    const events = engine.generate("cli", request, new AbortController().signal);
    let began = performance.now(), index = 0;
    const made = encodePictures(events, {
      request,
      model: info.model,
      observe(event) {
        if (event.type === "step") progress.step(event.step, event.steps, event.ms);
        if (event.type === "started" && event.truncatedTokens > 0) {
          console.error(`The prompt is ${event.truncatedTokens} tokens too long; its end was left out`);
        }
      },
    });
    for await (const { request: { seed }, png } of made) {
      progress.end();
      const path = numbered(output, index++, pictureCount(request));
      await writeFile(path, png);
      const seconds = ((performance.now() - began) / 1000).toFixed(1);
      const adapter = `${info.adapter.name}${info.adapter.software ? " (software)" : ""}`;
      console.error(`${path}: seed ${seed}, ${seconds} s on ${adapter}`);
      began = performance.now();
    }
  } finally {
    progress.end();
    engine.close();
  }
}

async function parseCommandLine(args: string[]): Promise<CommandLine | undefined> {
  const { values, positionals } = readFlags(args);
  if (values.help) return undefined;
  if (positionals.length !== 1) {
    throw new UsageError(`Cannot make a picture of ${positionals.length} prompts, one in quotes would do`);
  }
  const fields = new Map<string, unknown>([["prompt", positionals[0]]]);
  for (const name of fieldFlags) {
    const value = values[name.replaceAll("_", "-")];
    if (value !== undefined) fields.set(name, value);
  }
  const { output = "out.png", model = Deno.env.get("MODEL") || defaultModel, gpu = Deno.env.get("GPU") || undefined } =
    values;
  const vae = values.vae ?? (Deno.env.get("VAE") || undefined);
  for (const [flag, name] of [["init-image", "init_image"], ["mask", "mask"]]) {
    if (values[flag] !== undefined) fields.set(name, await readFile(`--${flag}`, `${values[flag]}`));
  }
  await checkOutput(`${output}`);
  return {
    fields,
    output: `${output}`,
    model: `${model}`,
    vae: vae as string | undefined,
    gpu: gpu as string | undefined,
    precision: readPrecision(`${values.precision ?? (Deno.env.get("PRECISION") || "auto")}`),
  };
}

function readPrecision(precision: string): Precision | undefined {
  if (precision === "f16" || precision === "f32") return precision;
  if (precision === "auto") return undefined;
  throw new UsageError(`Cannot use --precision ${JSON.stringify(precision)}, auto, f16 or f32 would do`);
}

function readFlags(args: string[]): { values: Record<string, unknown>; positionals: string[] } {
  const text = { type: "string" } as const;
  const flags = [
    "init-image",
    "mask",
    "model",
    "vae",
    "gpu",
    "precision",
    ...fieldFlags.map((name) => name.replaceAll("_", "-")),
  ];
  const options = {
    ...Object.fromEntries(flags.map((flag) => [flag, text])),
    output: { type: "string", short: "o" } as const,
    help: { type: "boolean", short: "h" } as const,
  };
  return parseFlags({ args, options, allowPositionals: true });
}

async function readFile(flag: string, path: string): Promise<Uint8Array<ArrayBuffer>> {
  try {
    return await Deno.readFile(callersPath(path));
  } catch (error) {
    throw new UsageError(`Cannot read ${flag} ${path}: ${error instanceof Error ? error.message : error}`);
  }
}

/** Says at once, not after the picture is made, that it cannot be written. */
async function checkOutput(output: string): Promise<void> {
  const path = callersPath(output), folder = dirname(path);
  if (await isFolder(path) || /[/\\]$/.test(output)) {
    throw new UsageError(`Cannot write ${output || path}: it is a folder, a file's name in one that exists would do`);
  }
  if (!await isFolder(folder)) {
    throw new UsageError(`Cannot write ${output}: there is no folder ${folder}, one that exists would do`);
  }
}

/** The name of one of several files: out.png is out-1.png, out-2.png and so on. */
function numbered(output: string, index: number, count: number): string {
  return count === 1 ? output : output.replace(/(\.[^./\\]*)?$/, `-${index + 1}$1`);
}

async function writeFile(output: string, bytes: Uint8Array): Promise<void> {
  try {
    await Deno.writeFile(callersPath(output), bytes);
  } catch (error) {
    const reason = error instanceof Error ? error.message : error;
    throw new OutputError(`Cannot write ${output}: ${reason}, another -o would do`);
  }
}

async function isFolder(path: string): Promise<boolean> {
  return await Deno.stat(path).then(({ isDirectory }) => isDirectory, () => false);
}
