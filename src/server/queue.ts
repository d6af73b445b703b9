/**
 * Whose turn it is: one job at a time, or several that gain by running together, the most urgent first and else first in,
 * first out, and no more than a fixed number held at once.
 */

import { JobPace, type Kind, type Measured, type Work } from "./job_pace.ts";

/** The queue holds as many jobs as it may. */
export class QueueFullError extends Error {
  override name = "QueueFullError";
  constructor(capacity: number, readonly retryAfterMs: number) {
    const jobs = capacity === 1 ? "a job" : `${capacity} jobs`;
    super(`The queue holds ${jobs} and takes no more, ${Math.ceil(retryAfterMs / 1000)} s from now would do`);
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
  /** Jobs before this one, the running ones included. */
  readonly position: number;
  /** Resolves when nothing else runs; rejects with the signal's reason. */
  turn(signal: AbortSignal): Promise<Turn>;
  /** Tells which share of its steps the running job has done. */
  progress(share: number): void;
  /** Gives the turn back: the job waits for another, before those of its priority that came later. */
  defer(): void;
  /** Gives the place up; what a `completed` job took goes into the estimate for others. */
  leave(outcome?: { completed: boolean }): void;
}

/** A job's turn. */
export interface Turn {
  /** Milliseconds since its place was taken. */
  waitedMs: number;
  /** The places of all whose turn it is, the first one's first: one and the same list for all of them. */
  together: readonly Place[];
}

/** What a job asks for with its place. */
export interface PlaceOptions {
  work: Work;
  kind?: Kind;
  /** What the job may take as long as none is measured. */
  guessMs?: number;
  /** Higher ones go before lower ones; the running job is left alone. */
  priority?: number;
  /** Jobs of the same may run together; one without runs alone. */
  alike?: string;
  /** Hears of every new position while the job waits. */
  moved?: (position: number) => void;
}

/** What is known of jobs that run together. */
export interface Sharing {
  /** How many of so many alike that wait are to run together. */
  together(alike: string, waiting: number): number;
  /** What each of so many takes of the time that it would take alone. */
  share(alike: string, count: number): number;
}

interface Job {
  place: Place;
  work: Work;
  kind: Kind;
  priority: number;
  alike?: string;
  moved: (position: number) => void;
  /** What `moved` was told last. */
  told: number;
  guessMs: number;
  enteredMs: number;
  /** Its place among all that ever entered. */
  number: number;
  /** Set while the job waits for its turn. */
  start?: (turn: Turn) => void;
  /** Set once it is its turn. */
  run?: Run;
}

/** Jobs whose turn came together. */
interface Run {
  jobs: Job[];
  startedMs: number;
  /** The work of all of them, less what they save by running together. */
  work: Work;
  /** The share of its steps that is done, and the milliseconds until then. */
  stepped: { share: number; ms: number };
  /** Whether any of them was completed. */
  completed: boolean;
}

/** Everybody runs alone. */
const alone: Sharing = { together: () => 1, share: () => 1 };

/** One kind for all that are of none. */
const noKind: Kind = { model: "", size: 1 };
/** How much of the estimate the newest job makes up. */
const newestShare = 0.3;
/** The guess for a job of which nothing is known. */
const unknownMs = 10_000;

/** A bounded queue. */
export class Queue {
  readonly capacity: number;
  readonly #sharing: Sharing;
  readonly #now: () => number;
  /** Every job held: the running ones, those that wait, and those whose pictures are still being read. */
  readonly #held: Job[] = [];
  #run?: Run;
  /** Jobs that ever entered. */
  #entered = 0;
  readonly #pace = new JobPace();
  #draining?: PromiseWithResolvers<void>;

  /** `now` gives milliseconds from any fixed point. */
  constructor(
    { capacity, sharing = alone, now = () => performance.now() }: {
      capacity: number;
      sharing?: Sharing;
      now?: () => number;
    },
  ) {
    this.capacity = capacity;
    this.#sharing = sharing;
    this.#now = now;
  }

  /** Jobs held, the running ones included. */
  get length(): number {
    return this.#held.length;
  }

  get draining(): boolean {
    return this.#draining !== undefined;
  }

  /** Milliseconds until the jobs held now are done, judged by those before them; a second at least. */
  get estimatedMs(): number {
    const alike = Map.groupBy(this.#held.filter((job) => !job.run), (job) => job.alike ?? job);
    let needed = this.#run ? this.#leftOf(this.#run) : 0;
    for (const [key, jobs] of alike) {
      const share = typeof key === "string" ? this.#shareOf(key, this.#sharing.together(key, jobs.length)) : 1;
      for (const job of jobs) needed += this.#timeOf([job], { ...job.work, steps: share * job.work.steps });
    }
    return Math.max(1000, needed);
  }

  /** Milliseconds that a run may go on; one that takes longer than was thought takes nothing off those that wait. */
  #leftOf({ jobs, work, startedMs, stepped: { share, ms } }: Run): number {
    const left = this.#timeOf(jobs, { steps: (1 - share) * work.steps, rest: work.rest });
    return Math.max(0, left - (this.#now() - startedMs - ms));
  }

  /** Milliseconds that jobs of one kind may take, of so much work in all. */
  #timeOf(jobs: readonly Job[], work: Work): number {
    const rates = this.#pace.of(jobs[0].kind);
    if (!rates) return jobs.reduce((ms, { guessMs }) => ms + guessMs, 0);
    return rates.steps * work.steps + rates.rest * work.rest;
  }

  /**
   * Takes a place behind the jobs of its priority, to be left whatever happens.
   *
   * @throws QueueFullError or DrainingError
   */
  enter({ work, kind = noKind, guessMs = unknownMs, priority = 0, alike, moved = () => {} }: PlaceOptions): Place {
    if (this.#draining) throw new DrainingError(this.estimatedMs);
    if (this.length >= this.capacity) throw new QueueFullError(this.capacity, this.estimatedMs);
    const position = () => this.#held.indexOf(job);
    const place: Place = {
      get position() {
        return position();
      },
      turn: (signal) => this.#turn(job, signal),
      progress: (share) => {
        const { run } = job;
        if (!run || run !== this.#run || share <= 0) return;
        run.stepped = { share, ms: this.#now() - run.startedMs };
        const steps = run.stepped.ms / (run.work.steps * share);
        this.#pace.runs({ ...kind, rates: { steps, rest: steps } });
      },
      defer: () => this.#defer(job),
      leave: (outcome) => this.#leave(job, outcome),
    };
    const number = this.#entered++;
    const job: Job = { place, work, kind, guessMs, priority, alike, moved, told: -1, enteredMs: this.#now(), number };
    job.told = this.#hold(job);
    this.#tell();
    return place;
  }

  /** Puts a job that waits where it belongs; its position. */
  #hold(job: Job): number {
    const { priority, number } = job;
    const isBefore = (other: Job) =>
      other.run || other.priority > priority || other.priority === priority && other.number < number;
    const position = this.#held.findLastIndex(isBefore) + 1;
    this.#held.splice(position, 0, job);
    return position;
  }

  /** Takes what is known of a kind's pace before any job was completed. */
  learn(measured: Measured): void {
    this.#pace.learn(measured, 1);
  }

  /** Refuses new jobs from now on; resolves when the last one has left. */
  drain(): Promise<void> {
    this.#draining ??= Promise.withResolvers();
    if (this.length === 0) this.#draining.resolve();
    return this.#draining.promise;
  }

  async #turn(job: Job, signal: AbortSignal): Promise<Turn> {
    signal.throwIfAborted();
    const { promise, resolve, reject } = Promise.withResolvers<Turn>();
    const abort = () => {
      job.start = undefined;
      reject(signal.reason);
    };
    signal.addEventListener("abort", abort, { once: true });
    job.start = resolve;
    this.#next();
    try {
      return await promise;
    } finally {
      signal.removeEventListener("abort", abort);
    }
  }

  /**
   * Starts the first job that waits, and with it those alike that gain by it, unless one runs. A job that is not ready yet holds
   * up none behind it.
   */
  #next(): void {
    if (this.#run) return;
    const first = this.#held.find(({ start }) => start);
    if (!first) return;
    const jobs = this.#companions(first), startedMs = this.#now();
    this.#run = { jobs, startedMs, work: this.#workOf(jobs), stepped: { share: 0, ms: 0 }, completed: false };
    const together = jobs.map(({ place }) => place);
    for (const job of jobs) job.run = this.#run;
    const rest = this.#held.filter((job) => !job.run || job === first);
    rest.splice(rest.indexOf(first), 1, ...jobs);
    this.#held.splice(0, this.#held.length, ...rest);
    for (const job of jobs) {
      job.start!({ waitedMs: startedMs - job.enteredMs, together });
      job.start = undefined;
    }
    this.#tell();
  }

  /** A job and those that run with it: of those alike that wait the first ones, none less urgent, for all are slowed by all. */
  #companions(first: Job): Job[] {
    if (first.alike === undefined) return [first];
    const alike = this.#held.filter((job) => job.start && job.alike === first.alike && job.priority === first.priority);
    return alike.slice(0, Math.max(1, this.#sharing.together(first.alike, alike.length)));
  }

  /** The work of jobs that run together, less what they save by it. */
  #workOf(jobs: readonly Job[]): Work {
    const [{ alike }] = jobs, share = alike === undefined ? 1 : this.#shareOf(alike, jobs.length);
    const sum = (part: keyof Work) => jobs.reduce((sum, { work }) => sum + work[part], 0);
    return { steps: share * sum("steps"), rest: sum("rest") };
  }

  #shareOf(alike: string, count: number): number {
    return count > 1 ? this.#sharing.share(alike, count) : 1;
  }

  /** Tells the jobs that wait where they stand, where that is new to them. */
  #tell(): void {
    for (const [position, job] of this.#held.entries()) {
      if (job.told === position || job.run) continue;
      job.told = position;
      job.moved(position);
    }
  }

  #defer(job: Job): void {
    const { run } = job;
    if (!run) return;
    job.run = undefined;
    run.jobs.splice(run.jobs.indexOf(job), 1);
    if (run.jobs.length > 0) run.work = this.#workOf(run.jobs);
    this.#held.splice(this.#held.indexOf(job), 1);
    this.#hold(job);
    this.#endIfLeft(run);
    this.#next();
    this.#tell();
  }

  #leave(job: Job, { completed } = { completed: false }): void {
    const at = this.#held.indexOf(job), { run } = job;
    if (at < 0) return;
    this.#held.splice(at, 1);
    if (run) {
      run.completed ||= completed;
      this.#endIfLeft(run);
    }
    this.#next();
    this.#tell();
    if (this.length === 0) this.#draining?.resolve();
  }

  /** Ends a run that all have left. */
  #endIfLeft(run: Run): void {
    if (run.jobs.some((job) => this.#held.includes(job))) return;
    this.#run = undefined;
    this.#pace.runs();
    if (!run.completed) return;
    const ms = this.#now() - run.startedMs, { work, stepped } = run;
    const all = ms / (work.steps + work.rest); // for each unit, where no step was heard of
    const rates = stepped.share === 0
      ? { steps: all, rest: all }
      : { steps: stepped.ms / work.steps, rest: work.rest > 0 ? (ms - stepped.ms) / work.rest : 0 };
    this.#pace.learn({ ...run.jobs[0].kind, rates }, 1 - (1 - newestShare) ** run.jobs.length);
  }
}
