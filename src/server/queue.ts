/**
 * Whose turn it is: one job at a time, the most urgent first and else first in, first out, and no more than a fixed number
 * held at once.
 */

/** The queue holds as many jobs as it may. */
export class QueueFullError extends Error {
  override name = "QueueFullError";
  constructor(capacity: number, readonly retryAfterMs: number) {
    super(`The queue holds ${capacity} jobs and takes no more, ${Math.ceil(retryAfterMs / 1000)} s from now would do`);
  }
}

/** The server is stopping and takes no new jobs. */
export class DrainingError extends Error {
  override name = "DrainingError";
  constructor(readonly retryAfterMs: number) {
    super("The server is stopping and takes no new jobs, another server or a later time would do");
  }
}

/** One job's place, from being accepted to being left; leaving twice does no harm. */
export interface Place {
  /** Jobs before this one, the running one included. */
  readonly position: number;
  /** Resolves when nothing else runs, with the milliseconds since the place was taken; rejects with the signal's reason. */
  turn(signal: AbortSignal): Promise<number>;
  /** Tells how much of its work the running job has done, for the estimates while no job has been measured. */
  progress(done: number): void;
  /** Gives the place up; what a `completed` job took goes into the estimate for others. */
  leave(outcome?: { completed: boolean }): void;
}

/** What a job asks for with its place. */
export interface PlaceOptions {
  /** Any measure that a job's time is proportional to. */
  work: number;
  /** What the job may take as long as none is measured. */
  guessMs?: number;
  /** Higher ones go before lower ones; the running job is left alone. */
  priority?: number;
  /** Hears of every new position while the job waits. */
  moved?: (position: number) => void;
}

interface Job {
  work: number;
  priority: number;
  moved: (position: number) => void;
  /** What `moved` was told last. */
  told: number;
  guessMs: number;
  enteredMs: number;
  startedMs?: number;
  /** Set while the job waits for its turn. */
  start?: () => void;
}

/** How much of the estimate the newest job makes up. */
const newestShare = 0.3;
/** The guess for a job of which nothing is known. */
const unknownMs = 10_000;

/** A bounded queue. */
export class Queue {
  readonly capacity: number;
  readonly #now: () => number;
  /** Every job held: the running one, those that wait, and those whose pictures are still being read. */
  readonly #held: Job[] = [];
  #running?: Job;
  /** The pace of the jobs that were completed. */
  #msPerWork?: number;
  /** The pace of the running job so far. */
  #currentMsPerWork?: number;
  #draining?: PromiseWithResolvers<void>;

  /** `now` gives milliseconds from any fixed point. */
  constructor({ capacity, now = () => performance.now() }: { capacity: number; now?: () => number }) {
    this.capacity = capacity;
    this.#now = now;
  }

  /** Jobs held, the running one included. */
  get length(): number {
    return this.#held.length;
  }

  get draining(): boolean {
    return this.#draining !== undefined;
  }

  /** Milliseconds until the jobs held now are done, judged by those before them; a second at least. */
  get estimatedMs(): number {
    const elapsed = this.#running ? this.#now() - this.#running.startedMs! : 0;
    const pace = this.#msPerWork ?? this.#currentMsPerWork;
    const needed = this.#held.reduce((ms, { work, guessMs }) => ms + (pace ? work * pace : guessMs), 0);
    return Math.max(1000, needed - elapsed);
  }

  /**
   * Takes a place behind the jobs of its priority, to be left whatever happens.
   *
   * @throws QueueFullError or DrainingError
   */
  enter({ work, guessMs = unknownMs, priority = 0, moved = () => {} }: PlaceOptions): Place {
    if (this.#draining) throw new DrainingError(this.estimatedMs);
    if (this.length >= this.capacity) throw new QueueFullError(this.capacity, this.estimatedMs);
    const job: Job = { work, guessMs, priority, moved, told: -1, enteredMs: this.#now() };
    const before = this.#held.findLastIndex((other) => other === this.#running || other.priority >= priority);
    this.#held.splice(before + 1, 0, job);
    job.told = before + 1;
    this.#tell();
    const position = () => this.#held.indexOf(job);
    return {
      get position() {
        return position();
      },
      turn: (signal) => this.#turn(job, signal),
      progress: (done) => {
        if (this.#running === job && done > 0) this.#currentMsPerWork = (this.#now() - job.startedMs!) / done;
      },
      leave: (outcome) => this.#leave(job, outcome),
    };
  }

  /** Refuses new jobs from now on; resolves when the last one has left. */
  drain(): Promise<void> {
    this.#draining ??= Promise.withResolvers();
    if (this.length === 0) this.#draining.resolve();
    return this.#draining.promise;
  }

  async #turn(job: Job, signal: AbortSignal): Promise<number> {
    signal.throwIfAborted();
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const abort = () => reject(signal.reason);
    signal.addEventListener("abort", abort, { once: true });
    job.start = resolve;
    this.#next();
    try {
      await promise;
    } finally {
      signal.removeEventListener("abort", abort);
    }
    return job.startedMs! - job.enteredMs;
  }

  /** Starts the first job that waits, unless one runs. A job that is not ready yet holds up none behind it. */
  #next(): void {
    if (this.#running) return;
    const job = this.#held.find(({ start }) => start);
    if (!job) return;
    this.#running = job;
    job.startedMs = this.#now();
    job.start!();
    job.start = undefined;
  }

  /** Tells the jobs that wait where they stand, where that is new to them. */
  #tell(): void {
    for (const [position, job] of this.#held.entries()) {
      if (job.told === position || job.startedMs !== undefined) continue;
      job.told = position;
      job.moved(position);
    }
  }

  #leave(job: Job, { completed } = { completed: false }): void {
    const at = this.#held.indexOf(job);
    if (at < 0) return;
    this.#held.splice(at, 1);
    if (completed && job.startedMs !== undefined) {
      const measured = (this.#now() - job.startedMs) / job.work;
      this.#msPerWork = this.#msPerWork ? this.#msPerWork + newestShare * (measured - this.#msPerWork) : measured;
    }
    if (this.#running === job) this.#running = undefined;
    this.#next();
    this.#tell();
    if (this.length === 0) this.#draining?.resolve();
  }
}
