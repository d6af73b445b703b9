/** How long the stages of a run take: by the clock, and on the GPU where it has timestamps. */
import type { GpuClock } from "../gpu/clock.ts";
import type { StageTime } from "./protocol.ts";

export class Stages {
  /** Those that are over and have not been taken yet. */
  readonly #over: StageTime[] = [];
  readonly #sums: Record<string, number> = {};

  constructor(readonly clock?: GpuClock) {}

  /** Milliseconds by stage since the start. */
  get sums(): Readonly<Record<string, number>> {
    return this.#sums;
  }

  /** Begins a stage; what is submitted from now on is for it. To be told, in milliseconds, how long it took. */
  begin(stage: string): (ms?: number) => void {
    if (this.clock) this.clock.stage = stage;
    const began = Date.now(), from = performance.now();
    return (ms = performance.now() - from) => {
      this.#over.push({ stage, began, ms });
      this.#sums[stage] = (this.#sums[stage] ?? 0) + ms;
    };
  }

  /** Runs a stage. */
  async time<Result>(stage: string, run: () => Promise<Result>): Promise<Result> {
    const end = this.begin(stage), result = await run();
    end();
    return result;
  }

  /** The stages that are over since the last call; GPU times are sums, given with the last stage of a name. Waits for the GPU. */
  async take(): Promise<StageTime[]> {
    const over = this.#over.splice(0), gpu = await this.clock?.read();
    for (const time of over.toReversed()) {
      const gpuMs = gpu?.get(time.stage);
      if (gpuMs !== undefined) time.gpuMs = gpuMs;
      gpu?.delete(time.stage);
    }
    return over;
  }
}
