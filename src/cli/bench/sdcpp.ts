/** stable-diffusion.cpp as a contestant: a process for each round, whose log says what took how long. */
import { UsageError } from "../../std/command_line.ts";
import type { Contestant, Round, Stage } from "./contestant.ts";
import { timed } from "./measure.ts";

/** Steps of a picture; the time of one is their mean. */
const STEPS = 2;

/** What its log says of each stage, in seconds or milliseconds. */
const SAID: Readonly<Record<Stage | "load", RegExp>> = {
  load: /loading tensors completed, taking ([\d.]+) ?(m?s)/,
  text: /get_learned_condition completed, taking ([\d.]+) ?(m?s)/,
  encode: /encode_first_stage completed, taking ([\d.]+) ?(m?s)/,
  step: / sampling completed, taking ([\d.]+) ?(m?s)/,
  decode: /decode_first_stage completed, taking ([\d.]+) ?(m?s)/,
};

/** Milliseconds that a log gives each stage. */
export function readLog(log: string): Round & { load?: number } {
  const found: Round & { load?: number } = {};
  for (const [stage, pattern] of Object.entries(SAID) as [Stage | "load", RegExp][]) {
    const match = pattern.exec(log);
    if (match) found[stage] = Number(match[1]) * (match[2] === "s" ? 1000 : 1) / (stage === "step" ? STEPS : 1);
  }
  return found;
}

export class SdcppContestant implements Contestant {
  /** Each round is a process of its own. */
  readonly warmsUp = false;

  private constructor(
    readonly name: string,
    readonly binary: string,
    readonly model: string,
    readonly scratch: string,
  ) {}

  /**
   * Takes the binary on the single file `model`.
   * @throws {UsageError} where it cannot be run
   */
  static async open(binary: string, model: string): Promise<SdcppContestant> {
    const threads = navigator.hardwareConcurrency;
    try {
      await new Deno.Command(binary, { args: ["-h"], stdout: "null", stderr: "null" }).output();
    } catch (error) {
      const reason = error instanceof Error ? error.message : error;
      throw new UsageError(`Cannot start ${binary}: ${reason}, --peer sdcpp=PATH of its sd or sd-cli would do`);
    }
    return new SdcppContestant(`stable-diffusion.cpp, ${threads} threads`, binary, model, await Deno.makeTempDir());
  }

  async round(side: number): Promise<Round> {
    const { load: _, ...round } = readLog(await this.#run(side, STEPS, true));
    return round;
  }

  async load(): Promise<number> {
    return readLog(await this.#run(64, 1, false)).load ?? NaN;
  }

  /** From the start of the process to its picture of one step. */
  async picture(side: number): Promise<number> {
    return await timed(() => this.#run(side, 1, false));
  }

  async close(): Promise<void> {
    await Deno.remove(this.scratch, { recursive: true });
  }

  async #run(side: number, steps: number, fromImage: boolean): Promise<string> {
    const words =
      `-p hello -n bye --cfg-scale 7 --sampling-method euler -s 1 -v --steps ${steps} -W ${side} -H ${side}`;
    const args = ["-m", this.model, ...words.split(" "), "-o", `${this.scratch}/out.png`];
    if (fromImage) args.push("-i", await this.#picture(side), "--strength", "1");
    const { success, stdout, stderr } = await new Deno.Command(this.binary, { args }).output();
    const log = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes)).join("\n");
    if (!success) throw new Error(`${this.binary} failed: ${log.trim().split("\n").slice(-3).join("; ")}`);
    return log;
  }

  /** A grey picture to start from. */
  async #picture(side: number): Promise<string> {
    const path = `${this.scratch}/${side}.ppm`, head = new TextEncoder().encode(`P6\n${side} ${side}\n255\n`);
    const file = new Uint8Array(head.length + 3 * side * side).fill(128);
    file.set(head);
    await Deno.writeFile(path, file);
    return path;
  }
}
