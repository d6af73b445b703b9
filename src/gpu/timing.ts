/** GPU time by dispatch label, from timestamp queries. */
import { readBuffer } from "./buffer.ts";
import type { Device } from "./device.ts";

/** One label's dispatches together. */
export interface TimingRow {
  label: string;
  count: number;
  ms: number;
}

/** Collects the timestamps of one run of a plan; a query set holds 4,096, so at most 2,048 dispatches are timed. */
export class Timings implements Disposable {
  readonly #labels: string[] = [];
  readonly #queries: GPUQuerySet;
  readonly #resolved: GPUBuffer;

  constructor(readonly device: Device, readonly capacity = 2048) {
    if (!device.timestamps) throw new Error(`Cannot time kernels: ${device.name} has no timestamp queries`);
    this.#queries = device.gpu.createQuerySet({ type: "timestamp", count: 2 * capacity });
    this.#resolved = device.memory.buffer("staging", {
      label: "timings",
      size: 16 * capacity,
      usage: GPUBufferUsage.QUERY_RESOLVE | GPUBufferUsage.COPY_SRC,
    });
  }

  /** Where the next pass writes its times; undefined once full. */
  next(label: string): GPUComputePassTimestampWrites | undefined {
    const i = this.#labels.length;
    if (i === this.capacity) return undefined;
    this.#labels.push(label);
    return { querySet: this.#queries, beginningOfPassWriteIndex: 2 * i, endOfPassWriteIndex: 2 * i + 1 };
  }

  /** Ends the recording: to be called on the encoder of the timed passes, after the last. */
  resolve(encoder: GPUCommandEncoder): void {
    encoder.resolveQuerySet(this.#queries, 0, 2 * this.#labels.length, this.#resolved, 0);
  }

  /** Rows in falling order of time. */
  async read(): Promise<TimingRow[]> {
    const times = new BigUint64Array(await readBuffer(this.device, this.#resolved, 0, 16 * this.#labels.length));
    const rows = new Map<string, TimingRow>();
    for (const [i, label] of this.#labels.entries()) {
      const row = rows.get(label) ?? { label, count: 0, ms: 0 };
      row.count++;
      row.ms += Number(times[2 * i + 1] - times[2 * i]) / 1e6; // nanoseconds
      rows.set(label, row);
    }
    return [...rows.values()].sort((a, b) => b.ms - a.ms);
  }

  [Symbol.dispose](): void {
    this.#queries.destroy();
    this.device.memory.free(this.#resolved);
  }
}
