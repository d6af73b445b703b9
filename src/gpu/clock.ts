/** GPU time by what it went on: timestamps around whole submits, cheap enough to be taken of every job. */
import { readBuffer } from "./buffer.ts";
import type { Device } from "./device.ts";

/** Two queries around a submit's passes, which are for the first and for the last of them. */
export interface Span {
  begin(pass: { last: boolean }): GPUComputePassTimestampWrites;
  end(): GPUComputePassTimestampWrites;
}

export class GpuClock {
  /** What submits are for from now on. */
  stage = "";
  /** What each timed submit was for; its timestamps have twice its number. */
  readonly #stages: string[] = [];
  /** What more was submitted for than can be timed. */
  readonly #untimed = new Set<string>();
  #queries?: GPUQuerySet;

  /** `capacity` is how many submits are timed between two readings; a query set holds two timestamps of 2,048. */
  constructor(readonly device: Device, readonly capacity = 2048) {
    if (!device.timestamps) throw new Error(`Cannot time stages: ${device.name} has no timestamp queries`);
  }

  /** The queries of the next submit. */
  next(): Span | undefined {
    const i = 2 * this.#stages.length;
    if (this.#stages.length === this.capacity) {
      this.#untimed.add(this.stage);
      return undefined;
    }
    this.#stages.push(this.stage);
    const querySet = this.#queries ??= this.device.gpu.createQuerySet({ type: "timestamp", count: 2 * this.capacity });
    return {
      begin: ({ last }) => ({ querySet, beginningOfPassWriteIndex: i, ...last && { endOfPassWriteIndex: i + 1 } }),
      end: () => ({ querySet, endOfPassWriteIndex: i + 1 }),
    };
  }

  /**
   * Milliseconds by stage since the last call, of those whose every submit was timed. The spans of a stage are added up, so
   * that what a GPU runs side by side counts twice. Waits for the GPU: to be called when it has nothing to do anyway.
   */
  async read(): Promise<Map<string, number>> {
    const stages = this.#stages.splice(0), sums = new Map<string, number>();
    if (stages.length === 0) return sums;
    const { device } = this, size = 16 * stages.length;
    const usage = GPUBufferUsage.QUERY_RESOLVE | GPUBufferUsage.COPY_SRC;
    const resolved = device.memory.buffer("staging", { label: "stage times", size, usage });
    try {
      const encoder = device.gpu.createCommandEncoder();
      encoder.resolveQuerySet(this.#queries!, 0, 2 * stages.length, resolved, 0);
      device.gpu.queue.submit([encoder.finish()]);
      const times = new BigUint64Array(await readBuffer(device, resolved, 0, size));
      for (const [i, stage] of stages.entries()) {
        sums.set(stage, (sums.get(stage) ?? 0) + Number(times[2 * i + 1] - times[2 * i]) / 1e6); // nanoseconds
      }
    } finally {
      device.memory.free(resolved);
    }
    for (const stage of this.#untimed) sums.delete(stage);
    this.#untimed.clear();
    return sums;
  }

  /** Forgets what was submitted so far. */
  clear(): void {
    this.#stages.length = 0;
    this.#untimed.clear();
  }
}
