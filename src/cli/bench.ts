/** `deno task bench`: medians, and ratios to a peer measured in the same run. */
import { Engine } from "../engine/engine.ts";
import { defaultModel, locateModel, ModelNotFoundError } from "../engine/locate.ts";
import type { Precision } from "../engine/protocol.ts";
import { callersModel, callersPath, parseFlags, UsageError } from "../std/command_line.ts";
import { agreementGroups, type AgreementOptions, benchAgreement } from "./bench/agreement.ts";
import type { Size } from "./bench/engine.ts";
import { printResults, type Result } from "./bench/measure.ts";
import { benchLive } from "./bench/live.ts";
import { benchLoad } from "./bench/load.ts";
import { benchMemory } from "./bench/memory.ts";
import { benchMerging } from "./bench/merging.ts";
import { benchFull, fullGroups, type FullOptions } from "./bench/full.ts";
import { printProfile } from "./bench/profile.ts";
import { benchPictures, make } from "./bench/pictures.ts";
import { benchEventLoop, benchFirstPicture } from "./bench/server.ts";
import { benchPreviews } from "./bench/previews.ts";
import { benchWays, comparisons } from "./bench/ways.ts";

const help = `Usage: deno task bench [--model NAME|DIR] [--gpu INDEX|NAME] [--runs N] [--only TEXT] [--profile]
       deno task bench --agreement [--sizes WxH,…] [--precision f32|f16] [--gpu INDEX|NAME] [--only TEXT]
       deno task bench --memory [--gpu INDEX|NAME]
       deno task bench --merging [--sizes N,N] [--model NAME|DIR] [--gpu INDEX|NAME] [--runs N]
       deno task bench --step-cache|--cfg-interval [--model NAME|DIR] [--gpu INDEX|NAME] [--runs N]
       deno task bench --previews [--model NAME|DIR] [--gpu INDEX|NAME] [--runs N]
       deno task bench --full [--sizes N,N] [--precision f32|f16] [--peer KIND=PATH …] [--gpu …] [--runs N] [--only TEXT] [--profile]

  --model       by name or folder (default: MODEL, else ${defaultModel})
  --gpu         adapter by index or part of its name
  --runs N      counted runs of each measurement (default: 5)
  --only TEXT   first, pictures, loop, live or load: only that; with --full ${fullGroups.join(", ")};
                with --agreement ${agreementGroups.join(", ")}
  --profile     where the time of a step and of the decoder goes, by kernel and workgroups, beside the roofline
  --step-cache, --cfg-interval
                what these fields of the request save, and what they do to pictures
  --previews    what a preview costs its step, against the steps beside it without one
  --agreement   whether two choices of kernels come to the same at sizes of which the reference has no numbers
                (default: 768x512,1024x1024); exits with 1 where they do not
  --memory      memory of a picture at Stable Diffusion 1.5's size, whose weights are written to .cache first
  --merging     what token merging gains and costs: time and error of pictures at three ratios; of squares
                of --sizes, or of the model's own size and twice and four times its sides

  --full        Stable Diffusion 1.5 at real sizes, with hashed weights that are written to .cache once (4.3 GB with peers)
  --sizes N,N   sides of its pictures in pixels (default: 256,512)
  --precision   how it stores numbers (default: f16, as the files do, where the device has it)
  --peer        diffusers=VENV, a virtual environment with torch, diffusers and transformers;
                sdcpp=PATH, the command of stable-diffusion.cpp; both may be given
`;

/** The picture's two plans by kernel: time, share, rates. */
async function profilePicture(model: string, gpu: string | undefined, runs: number): Promise<void> {
  using engine = await Engine.open({ model, gpu, log: console.error });
  await make(engine, { steps: 1 });
  const { width, height } = engine.info.model.defaults, size = `${width}×${height}`;
  const canvas = engine.canvas({ images: 1, height, width });
  const plans = [[`guided step, ${size}`, () => canvas.step({ halves: 2 })], [
    `decode, ${size}`,
    () => canvas.decode(),
  ]] as const;
  await printProfile(engine.device, plans, runs);
}

interface CommandLine {
  model: string;
  gpu?: string;
  runs: number;
  only: string;
  profile: boolean;
  agreement?: AgreementOptions;
  memory: boolean;
  merging: boolean;
  previews: boolean;
  /** What {@link comparisons} are asked for. */
  compared: (keyof typeof comparisons)[];
  /** Sides of pictures, where they are asked for. */
  sides?: number[];
  /** What --full asks for. */
  full?: FullOptions;
}

/** The groups of measurements, by what `--only` takes. */
const groups: Record<string, (commandLine: CommandLine) => Promise<Result[]>> = {
  first: ({ model, runs }) => benchFirstPicture(model, Math.min(runs, 3)),
  pictures: ({ model, gpu, runs }) => benchPictures(model, gpu, runs),
  loop: ({ model, gpu, runs }) => benchEventLoop(model, gpu, runs),
  live: ({ model, gpu, runs }) => benchLive({ model, gpu, steps: 20 * runs }),
  load: ({ model, gpu, runs }) => benchLoad({ model, gpu, runs }),
};

/** The command line; undefined where it asks for help. */
function parse(args: string[]): CommandLine | undefined {
  const text = { type: "string" } as const, flag = { type: "boolean" } as const;
  const { values } = parseFlags({
    args,
    options: {
      ...{
        model: text,
        gpu: text,
        runs: text,
        only: text,
        profile: flag,
        agreement: flag,
        memory: flag,
        merging: flag,
        "step-cache": flag,
        "cfg-interval": flag,
        previews: flag,
        help: flag,
      },
      ...{ full: flag, sizes: text, precision: text, peer: { type: "string", multiple: true } },
    },
  });
  if (values.help) return undefined;
  const { runs = "5", only = "", gpu = Deno.env.get("GPU") || undefined, profile = false } = values;
  const { memory = false, merging = false, previews = false } = values;
  const compared = (Object.keys(comparisons) as (keyof typeof comparisons)[]).filter((name) => values[name]);
  if (!/^[1-9]\d{0,5}$/.test(runs)) {
    throw new UsageError(`Cannot use --runs ${JSON.stringify(runs)}, a whole number from 1 would do`);
  }
  const names = values.full ? fullGroups : values.agreement ? agreementGroups : Object.keys(groups);
  if (!names.some((name) => name.includes(only))) {
    throw new UsageError(`Cannot use --only ${JSON.stringify(only)}, ${names.join(", ")} would do`);
  }
  const full = readFull({ ...values, gpu, only, profile, runs: Number(runs) });
  const agreement = values.agreement ? readAgreement({ ...values, gpu, only }) : undefined;
  const sides = values.sizes === undefined || agreement ? undefined : readSides(values.sizes);
  const modelsDir = Deno.env.get("MODELS_DIR");
  const named = callersModel(values.model ?? (Deno.env.get("MODEL") || defaultModel));
  const model = locateModel(named, { modelsDir: modelsDir && callersPath(modelsDir) });
  return { model, gpu, runs: Number(runs), only, profile, agreement, memory, merging, previews, compared, sides, full };
}

/** What --full and the flags that need it ask for; undefined without it. */
function readFull(
  { full, sizes = "256,512", precision, peer = [], ...rest }:
    & { full?: boolean; sizes?: string; precision?: string; peer?: string[] }
    & Pick<CommandLine, "gpu" | "only" | "profile" | "runs">,
): FullOptions | undefined {
  if (!full) {
    if (peer.length > 0) throw new UsageError(`Cannot use --peer without --full, --full --peer ${peer[0]} would do`);
    return undefined;
  }
  const peers = peer.map((each) => {
    const [, kind, path] = /^(diffusers|sdcpp)=(.+)$/.exec(each) ?? [];
    if (path) return { kind: kind as "diffusers" | "sdcpp", path: callersPath(path) };
    throw new UsageError(`Cannot use --peer ${JSON.stringify(each)}, diffusers=VENV or sdcpp=PATH would do`);
  });
  return { ...rest, precision: readPrecision(precision), sides: readSides(sizes), peers };
}

function readSides(sizes: string): number[] {
  const sides = sizes.split(",").map(Number);
  if (sides.every((side) => side > 0 && side % 64 === 0)) return sides;
  throw new UsageError(`Cannot use --sizes ${JSON.stringify(sizes)}, multiples of 64 like 256,512 would do`);
}

/** What --agreement asks for. */
function readAgreement(
  { sizes = "768x512,1024x1024", precision, gpu, only }:
    & { sizes?: string; precision?: string }
    & Pick<CommandLine, "gpu" | "only">,
): AgreementOptions {
  const read = sizes.split(",").map((size): Size => {
    const [, width, height = width] = /^(\d+)(?:x(\d+))?$/.exec(size) ?? [];
    return { width: Number(width), height: Number(height) };
  });
  if (!read.every(({ width, height }) => width > 0 && height > 0 && width % 64 === 0 && height % 64 === 0)) {
    throw new UsageError(`Cannot use --sizes ${JSON.stringify(sizes)}, multiples of 64 like 768x512,1024 would do`);
  }
  return { gpu, only, precision: readPrecision(precision), sizes: read };
}

function readPrecision(precision?: string): Precision | undefined {
  if (precision === undefined || precision === "f32" || precision === "f16") return precision;
  throw new UsageError(`Cannot use --precision ${JSON.stringify(precision)}, f32 or f16 would do`);
}

/** Runs the command and resolves with its exit code: 0, 1 where kernels do not agree, or 2 for what was asked wrongly. */
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
  } else if (commandLine.agreement) {
    return await benchAgreement(commandLine.agreement) ? 0 : 1;
  } else if (commandLine.memory) {
    await benchMemory(commandLine.gpu);
  } else if (commandLine.merging) {
    await benchMerging(commandLine.model, commandLine.gpu, commandLine);
  } else if (commandLine.previews) {
    await benchPreviews(commandLine.model, commandLine.gpu, commandLine.runs);
  } else if (commandLine.compared.length > 0) {
    const ways = Object.assign({}, ...commandLine.compared.map((name) => comparisons[name]));
    await benchWays(commandLine.model, commandLine.gpu, commandLine.runs, ways);
  } else if (commandLine.full) {
    try {
      const results = await benchFull(commandLine.full);
      if (results.length > 0) printResults(results);
    } catch (error) {
      if (!(error instanceof UsageError)) throw error;
      console.error(error.message);
      return 2;
    }
  } else if (commandLine.profile) {
    await profilePicture(commandLine.model, commandLine.gpu, commandLine.runs);
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
