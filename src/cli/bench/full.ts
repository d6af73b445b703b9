/** Stable Diffusion 1.5 at its real sizes: stages, loading and the first picture, ours and those of peers, alternating. */
import { openFolder } from "../../checkpoint/folder.ts";
import { openModel } from "../../checkpoint/model.ts";
import type { Precision } from "../../engine/protocol.ts";
import { compete, type Contestant, type Stage, stages } from "./contestant.ts";
import { DiffusersContestant } from "./diffusers.ts";
import { EngineContestant } from "./engine.ts";
import { benchLive } from "./live.ts";
import { median, type Result, timed } from "./measure.ts";
import { mergingRatios } from "./merging.ts";
import { printProfile } from "./profile.ts";
import { fullModel, singleFile } from "./sd15.ts";
import { SdcppContestant } from "./sdcpp.ts";
import { benchFirstPicture } from "./server.ts";

/** What a full-size run is asked for. */
export interface FullOptions {
  gpu?: string;
  precision?: Precision;
  runs: number;
  /** Only measurements with this in their name. */
  only: string;
  /** Sides of the pictures in pixels. */
  sides: readonly number[];
  /** Who else takes part: a virtual environment with diffusers, the command of stable-diffusion.cpp. */
  peers: readonly { kind: "diffusers" | "sdcpp"; path: string }[];
  profile: boolean;
}

/** What `--only` takes with `--full`. */
export const fullGroups = [...stages, "merging", "load", "first", "live"];

/** What the stages are called in results. */
const STAGES: Readonly<Record<Stage, string>> = {
  text: "text encoder, two prompts",
  step: "guided step",
  decode: "VAE decode",
  encode: "VAE encode",
};

/** Runs what is asked for. Throws a UsageError where a peer cannot be had. */
export async function benchFull(options: FullOptions): Promise<Result[]> {
  const { gpu, precision, runs, only, sides } = options;
  console.error("writing the model, unless an earlier run did");
  const folder = fullModel(), results: Result[] = [];
  if (options.profile) {
    const engine = await EngineContestant.open(folder, { gpu, precision });
    const wanted = stages.filter((stage) => stage.includes(only));
    for (const side of sides) {
      const plans = wanted.map((stage) =>
        [`${STAGES[stage]}, ${side}×${side}`, () => engine.plan({ width: side, height: side }, stage)] as const
      );
      await printProfile(engine.device, plans, Math.min(runs, 3));
    }
    engine.close();
    return [];
  }
  const peers: Contestant[] = [];
  try {
    for (const peer of options.peers) peers.push(await openPeer(peer, folder));
    if ("live".includes(only)) {
      for (const side of sides) {
        results.push(...await benchLive({ model: folder, gpu, side, steps: Math.min(runs, 3) }));
      }
    }
    if ("first".includes(only)) results.push(...await benchFirst(folder, options, peers));
    if (![...stages, "merging", "load"].some((name) => name.includes(only))) return results;
    const engine = await EngineContestant.open(folder, { gpu, precision });
    try {
      for (const { name } of [engine, ...peers]) console.error(name);
      if ("load".includes(only)) results.push(...await benchLoad(folder, engine, peers, runs));
      const wanted = stages.filter((stage) => stage.includes(only));
      for (const side of wanted.length > 0 ? sides : []) {
        results.push(...await benchStages(engine, peers, { side, runs, wanted }));
      }
      for (const side of "merging".includes(only) ? sides : []) results.push(...await benchMerged(engine, side, runs));
    } finally {
      engine.close();
    }
  } finally {
    for (const peer of peers) await peer.close();
  }
  return results;
}

async function openPeer({ kind, path }: FullOptions["peers"][number], folder: string): Promise<Contestant> {
  switch (kind) {
    case "diffusers":
      return await DiffusersContestant.open(path, folder);
    case "sdcpp":
      return await SdcppContestant.open(path, singleFile(folder));
    default:
      return kind satisfies never;
  }
}

async function benchStages(
  engine: EngineContestant,
  peers: readonly Contestant[],
  { side, runs, wanted }: { side: number; runs: number; wanted: readonly Stage[] },
): Promise<Result[]> {
  const { times, first } = await compete([engine, ...peers], { side, runs, wanted }), ours = times.get(engine)!;
  const rest = (stage: Stage) => Math.max(0, (first.get(engine)?.[stage] ?? 0) - median(ours[stage]));
  return [
    ...wanted.map((stage): Result => ({
      what: `${STAGES[stage]}${stage === "text" ? "" : `, ${side}×${side}`}`,
      ms: ours[stage],
      peers: peers.map((peer) => ({ name: short(peer), ms: times.get(peer)![stage] })),
    })),
    {
      what: `what the first run of ${
        wanted.join(", ")
      } took more, ${side}×${side}: kernels compiled or found in a cache`,
      ms: [wanted.reduce((sum, stage) => sum + rest(stage), 0)],
    },
  ];
}

/** A step with tokens merged, by ratio, against the same without: all take turns. */
async function benchMerged(engine: EngineContestant, side: number, runs: number): Promise<Result[]> {
  const merged = mergingRatios.map((ratio) => engine.merging(ratio));
  try {
    const { times } = await compete([engine, ...merged], { side, runs, wanted: ["step"] });
    return merged.map((each): Result => ({
      what: `guided step, ${side}×${side}, token_merging_ratio ${each.tokenMerging}`,
      ms: times.get(each)!.step,
      peers: [{ name: "without", ms: times.get(engine)!.step }],
    }));
  } finally {
    for (const each of merged) each.closeCanvas();
  }
}

/** Header and mapping; weights to the device from a full and from an empty page cache. */
async function benchLoad(
  folder: string,
  engine: EngineContestant,
  peers: readonly Contestant[],
  runs: number,
): Promise<Result[]> {
  const names = ["text_encoder", "unet", "vae"],
    files = names.flatMap((name) => openFolder(folder).component(name).files);
  const bytes = files.reduce((sum, file) => sum + Deno.statSync(file).size, 0);
  const open: number[] = [];
  for (let run = 0; run < runs; run++) {
    open.push(
      await timed(() => {
        const model = openModel(folder);
        for (const name of names) model.component(name).tensors()[Symbol.dispose]();
        return Promise.resolve();
      }),
    );
  }
  for (const file of files) for await (const _ of (await Deno.open(file)).readable) { /* into the page cache */ }
  const first = await engine.load(), warm: number[] = [], cold: number[] = [];
  const theirs = peers.map((): number[] => []);
  for (let run = 0; run < runs; run++) {
    warm.push(await engine.load());
    for (const [i, peer] of peers.entries()) theirs[i].push(await peer.load());
  }
  for (let run = 0; run < Math.min(runs, 3) && await dropPages(files); run++) cold.push(await engine.load());
  const rate = (ms: readonly number[]) =>
    `${(bytes / 1e9).toFixed(2)} GB at ${(bytes / median(ms) / 1e6).toFixed(2)} GB/s`;
  const results: Result[] = [
    { what: "headers read, checked and mapped, three files", ms: open },
    {
      what: `weights from the page cache to the device, repacked (${rate(warm)})`,
      ms: warm,
      peers: peers.map((peer, i) => ({ name: short(peer), ms: theirs[i] })),
    },
    {
      what: "what the first load took more: kernels compiled, memory that the process had not had",
      ms: [Math.max(0, first - median(warm))],
    },
  ];
  if (cold.length > 0) results.push({ what: `the same from the disk (${rate(cold)})`, ms: cold });
  return results;
}

/** Asks the system to forget the files' pages, by dd's `nocache`; false where there is no such dd. */
async function dropPages(files: readonly string[]): Promise<boolean> {
  for (const file of files) {
    const args = [`if=${file}`, "iflag=nocache", "count=0"];
    const outcome = await new Deno.Command("dd", { args, stdout: "null", stderr: "null" }).output().catch(() =>
      undefined
    );
    if (!outcome?.success) return false;
  }
  return true;
}

/** Fresh processes, at each size the model's own; with nothing cached, neither kernels nor pages, as the last peer. */
async function benchFirst(
  folder: string,
  { sides, runs }: FullOptions,
  peers: readonly Contestant[],
): Promise<Result[]> {
  const results: Result[] = [], files = openFolder(folder);
  const weights = ["text_encoder", "unet", "vae"].flatMap((name) => files.component(name).files);
  for (const side of sides) {
    const own = await Deno.makeTempDir({ prefix: "sd15-" });
    try {
      for (const { name } of Deno.readDirSync(folder)) Deno.symlinkSync(`${folder}/${name}`, `${own}/${name}`);
      Deno.writeTextFileSync(
        `${own}/defaults.json`,
        JSON.stringify({ width: side, height: side, steps: 1, cfg_scale: 7 }),
      );
      const theirs: Result["peers"] = await Promise.all(
        peers.filter((peer) => peer instanceof SdcppContestant).map(async (peer) => ({
          name: short(peer),
          ms: [await peer.picture(side)],
        })),
      );
      const [result] = await benchFirstPicture(own, Math.min(runs, 3), { empty: () => dropPages(weights) });
      const what = `process start to a picture of one step, ${side}×${side}, kernels and pages cached`;
      results.push({ ...result, what, peers: [...theirs, ...result.peers ?? []] });
    } finally {
      await Deno.remove(own, { recursive: true });
    }
  }
  return results;
}

/** A peer's name without its versions, which are said once. */
function short({ name }: Contestant): string {
  return name.split(/[ ,]/)[0];
}
