/** All jobs that are still known: taken on, found by id or by idempotency key, and forgotten in time. */
import { createHash } from "node:crypto";
import type { Engine } from "../engine/client.ts";
import { infotextOf } from "../engine/infotext.ts";
import { eachPicture } from "../engine/tasks.ts";
import type { EngineInfo } from "../engine/protocol.ts";
import type { ParsedRequest } from "../engine/request.ts";
import type { PictureReader } from "../image/read.ts";
import { Batching } from "./batching.ts";
import { Broadcast } from "./broadcast.ts";
import { isUnexpected } from "./errors.ts";
import { Job } from "./job.ts";
import { Log } from "./log.ts";
import type { Queue } from "./queue.ts";
import type { RateLimit } from "./rate.ts";
import { Refusal } from "./refusal.ts";
import type { Work } from "./job_pace.ts";
import { kindOf, runJob, Starts, workOf } from "./run.ts";

/** What a surface hands in. */
export interface Order {
  parsed: ParsedRequest;
  /** Whose job it will be. */
  owner?: string;
  /** The request by which it came. */
  requestId?: string;
  /** Whether it goes on when nobody waits for it, and its pictures are kept for a while. */
  detached?: boolean;
  priority?: number;
  /** Milliseconds from now until it fails. */
  timeoutMs?: number;
  /** A second order of one owner with the same key is the first one's job. */
  idempotency?: { key: string; digest: string };
  /** The surface by which it came, and what its client calls it. */
  tag?: string;
  taskId?: string;
  /** Called once the order's body takes no memory any more. */
  release?: () => void;
}

export interface JobsOptions {
  engine: Engine;
  queue: Queue;
  pictures: PictureReader;
  /** How many jobs an owner may hand in. */
  rate?: RateLimit;
  /** How long pictures are kept that were asked to be. */
  ttlMs?: number;
  /** Most bytes of pictures that are kept: beyond it those of the oldest jobs go. */
  maxBytes?: number;
  /** Most jobs that are known after their end. */
  maxRecords?: number;
  log?: Log;
  /** What says which jobs run together; each runs alone where absent. It is to be the queue's as well. */
  batching?: Batching;
  /** Hears of every job that is taken on. */
  follow?: (job: Job) => void;
  /** Hears how many jobs run together, once for all of them. */
  started?: (jobs: number) => void;
  /** Milliseconds since 1970. */
  now?: () => number;
}

/** How many times longer a job is known than its pictures are kept. */
const recordTtls = 6;

export class Jobs {
  readonly #options: Required<Omit<JobsOptions, "rate" | "started">> & Pick<JobsOptions, "rate">;
  readonly #starts: Starts;
  /** Oldest first. */
  readonly #jobs = new Map<string, Job>();
  readonly #keys = new Map<string, { job: Job; digest: string }>();

  constructor(options: JobsOptions) {
    const {
      ttlMs = 600_000,
      maxBytes = 256 << 20,
      maxRecords = 2000,
      log = new Log({ level: "error" }),
      batching = new Batching({ most: 1 }),
      follow = () => {},
      now = Date.now,
    } = options;
    this.#options = { ...options, ttlMs, maxBytes, maxRecords, log, batching, follow, now };
    this.#starts = new Starts(options.engine, options);
    options.engine.ready.then(({ stepMs, model: { name, defaults: { width, height } } }) => {
      const size = width * height;
      if (stepMs === undefined) return;
      options.queue.learn({ model: name, size, rates: { steps: stepMs / size, rest: stepMs / size } });
    }, () => {}); // whoever waits for the engine hears why
  }

  /**
   * Takes a job on, which no other one stands for: see {@link repeated}. It runs when its turn comes.
   *
   * @throws QueueFullError, DrainingError or RateLimitError
   */
  submit(order: Order, info: EngineInfo): Job {
    const { queue, rate, pictures: reader, batching } = this.#options;
    if (order.owner !== undefined) rate?.take(order.owner);
    const { parsed: { request, initImageFile: picture, maskFile: mask }, owner, release = () => {} } = order;
    const work = workOf(request, picture ? request.strength : 1);
    const moved = (position: number) => {
      job.position = position;
      job.news.push({ type: "queued", position });
    };
    const fromImage = picture !== undefined, alike = batching.alike(request, { fromImage });
    const kind = kindOf(request, info), { priority } = order;
    const place = queue.enter({ work, kind, guessMs: guessMs(work, info), priority, alike, moved });
    // An idempotency key promises an answer to whoever asks again, so such a job is kept as well.
    const detached = order.detached === true;
    const pictures = picturesOf(order.parsed, info);
    const { tag, taskId, requestId, parsed: { ignored } } = order;
    const id = crypto.randomUUID();
    const job = new Job({ id, owner, request, pictures, detached, fromImage, ignored, tag, taskId, requestId });
    // What outlives this must not hold the order, which holds its whole request and the answer to it.
    const hasKey = order.idempotency !== undefined;
    job.settled = () => {
      if (!job.detached && !hasKey && job.watchers === 0) job.expire();
    };
    moved(place.position);
    this.#jobs.set(job.id, job);
    if (order.idempotency) this.#keys.set(keyOf(order)!, { job, digest: order.idempotency.digest });
    this.#options.follow(job);
    const timer = order.timeoutMs === undefined ? undefined : deadline(job, order.timeoutMs);
    const files = picture && { picture, mask }, runner = { pictures: reader, starts: this.#starts, batching };
    runJob(job, place, runner, { files, alike, decoded: release }).then(() => {
      clearTimeout(timer);
      if (job.error && isUnexpected(job.error)) {
        this.#options.log.error(`Job ${job.id} failed: ${job.error}`, { request: job.requestId });
      }
      this.#sweep();
    });
    return job;
  }

  /**
   * The job that an order with an idempotency key repeats, if there is one, with nothing more to be read of the order. One
   * that came to nothing is not repeated.
   *
   * @throws Refusal where the key belongs to another request
   */
  repeated(order: Pick<Order, "owner" | "idempotency" | "detached" | "release">): Job | undefined {
    this.#sweep();
    const key = keyOf(order), found = key === undefined ? undefined : this.#keys.get(key);
    if (!found || found.job.error || found.job.signal.aborted || found.job.expired) return undefined;
    if (found.digest !== order.idempotency!.digest) {
      throw new Refusal("idempotency_mismatch", "The Idempotency-Key was used for another request, a new key would do");
    }
    order.release?.();
    if (order.detached) found.job.detached = true;
    return found.job;
  }

  /** A job by its id. @throws Refusal where there is none, or it is somebody else's */
  find(id: string, owner?: string): Job {
    this.#sweep();
    const job = this.has(id, owner);
    if (job) return job;
    throw new Refusal(
      "job_not_found",
      `There is no job ${JSON.stringify(id.slice(0, 80))}, the id of a recent one would do`,
    );
  }

  /** A job by its id, where there is one and it is the owner's. */
  has(id: string, owner?: string): Job | undefined {
    const job = this.#jobs.get(id);
    return job?.owner === owner ? job : undefined;
  }

  /** A job by its id, whosoever it is: for addresses that stand for a key themselves. @throws Refusal */
  known(id: string): Job {
    return this.find(id, this.#jobs.get(id)?.owner);
  }

  /** Whether no new jobs are taken. */
  get draining(): boolean {
    return this.#options.queue.draining;
  }

  /** Milliseconds until all jobs held now are done. */
  get estimatedMs(): number {
    return this.#options.queue.estimatedMs;
  }

  /** How many jobs wait, and how many run. */
  get counts(): Record<"queued" | "running", number> {
    const counts = { queued: 0, running: 0 };
    for (const { isOver, status } of this.#jobs.values()) {
      if (!isOver && (status === "queued" || status === "running")) counts[status]++;
    }
    return counts;
  }

  /** The jobs of an owner that are not over, in the order in which they came. */
  active(owner?: string): Job[] {
    return [...this.#jobs.values()].filter((job) => !job.isOver && job.owner === owner);
  }

  /** Gives a job up. @throws Refusal where there is none, or it is over */
  cancel(id: string, owner?: string): Job {
    const job = this.find(id, owner);
    if (job.isOver || job.signal.aborted) {
      throw new Refusal("job_over", `Job ${id} is over, one that is queued or running would do`);
    }
    job.cancel(cancelled(job));
    return job;
  }

  /** Gives every job up that is not over, with an error that says why. */
  cancelAll(why: (job: Job) => Error): void {
    for (const job of this.#jobs.values()) job.cancel(why(job));
  }

  /** Forgets pictures, and then jobs, whose time is over or for which there is no room. */
  #sweep(): void {
    const { ttlMs, maxBytes, maxRecords, now } = this.#options;
    const over = [...this.#jobs.values()].filter(({ isOver }) => isOver);
    let bytes = over.reduce((sum, job) => sum + job.bytes, 0), records = over.length;
    for (const job of over) {
      const age = now() - job.finished!;
      if (!job.expired && job.watchers === 0 && (age > ttlMs || bytes > maxBytes)) {
        bytes -= job.bytes;
        job.expire();
      }
      if (job.expired && (age > recordTtls * ttlMs || records > maxRecords)) {
        this.#jobs.delete(job.id);
        records--;
      }
    }
    for (const [key, { job }] of this.#keys) if (job.expired || job.error) this.#keys.delete(key);
  }
}

/** What a job that somebody gave up fails with. */
export function cancelled({ id }: Job): Refusal {
  return new Refusal("job_cancelled", `Job ${id} was cancelled, sending the request again would do`, {
    "x-should-retry": "false",
  });
}

/** What a job fails with that the server cannot finish before it ends. */
export function stopped({ id }: Job): Refusal {
  const message = `The server stopped before job ${id} was done, another server or a later time would do`;
  return new Refusal("server_stopped", message, { "retry-after": "10" });
}

/** A digest of a request's fields as they were sent, files included. */
export function digestOf(fields: ReadonlyMap<string, unknown>): string {
  const hash = createHash("sha256");
  for (const [name, value] of [...fields].toSorted(([a], [b]) => a < b ? -1 : 1)) {
    const plain = value instanceof Uint8Array ? createHash("sha256").update(value).digest("hex") : value;
    hash.update(`${JSON.stringify([name, plain])}\n`);
  }
  return hash.digest("base64url");
}

function keyOf({ owner = "", idempotency }: Pick<Order, "owner" | "idempotency">): string | undefined {
  return idempotency && `${owner}\n${idempotency.key}`;
}

function picturesOf({ request, initImageFile }: ParsedRequest, info: EngineInfo) {
  // Only whether there is a picture to start from counts for the text, and it is not decoded yet.
  const described = { ...request, ...(initImageFile && { initImage: new Uint8Array() }) };
  return eachPicture(described).map((one) => ({
    seed: one.seed,
    infotext: infotextOf(one, info.model),
    pieces: new Broadcast<Uint8Array<ArrayBuffer>>(),
  }));
}

function deadline(job: Job, ms: number): ReturnType<typeof setTimeout> {
  return setTimeout(() => {
    const message = `Job ${job.id} was not done after ${ms} ms, a later deadline or fewer steps would do`;
    job.cancel(new Refusal("deadline_passed", message));
  }, ms);
}

/** A first guess at a job's time, rather too long: warming up compiled kernels too, and took four times the default size. */
function guessMs(
  { steps, rest }: Work,
  { timing: { warm }, model: { defaults: { width, height } } }: EngineInfo,
): number | undefined {
  return warm && warm * (steps + rest) / (4 * width * height);
}
