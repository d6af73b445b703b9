/** When a Worker that failed is followed by another one, and when that has happened too often. */

/** Failures in a row, without a picture between, that another Worker follows: none follows the next one. */
const mostFailures = 6;
/** A failure longer ago, in milliseconds, has nothing to do with the next. */
const memoryMs = 600_000;

/** What became of Workers and jobs, counted from the start. */
export interface FaultCounts {
  /** Failures by their kind: a lost device, one that hangs, a crashed Worker, a device without memory for a job. */
  device_lost: number;
  device_hung: number;
  worker_crashed: number;
  out_of_memory: number;
  /** Workers that took a failed one's place. */
  recoveries: number;
  /** Jobs that were begun again. */
  retries: number;
}

export const noFaults: Readonly<FaultCounts> = {
  device_lost: 0,
  device_hung: 0,
  worker_crashed: 0,
  out_of_memory: 0,
  recoveries: 0,
  retries: 0,
};

/** How long to wait before the next Worker starts. */
export class Recovery {
  readonly #backoffMs: number;
  readonly #now: () => number;
  #failures: number[] = [];

  /** `backoffMs` is waited before the second start in a row, and twice as long before each further one. */
  constructor({ backoffMs = 1000, now = () => performance.now() }: { backoffMs?: number; now?: () => number } = {}) {
    this.#backoffMs = backoffMs;
    this.#now = now;
  }

  /** A Worker failed: milliseconds until the next one is to start, or undefined where that would be in vain. */
  failed(): number | undefined {
    const now = this.#now();
    this.#failures = [...this.#failures.filter((then) => now - then < memoryMs), now];
    const count = this.#failures.length;
    if (count > mostFailures) return undefined;
    return count === 1 ? 0 : this.#backoffMs * 2 ** (count - 2);
  }

  /** A picture was made: what failed before is over. */
  succeeded(): void {
    this.#failures = [];
  }
}
