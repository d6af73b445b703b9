/** How many jobs an owner may hand in over time. */

/** An owner who has handed in too many. */
export class RateLimitError extends Error {
  override name = "RateLimitError";
  constructor(perMinute: number, readonly retryAfterMs: number) {
    const seconds = Math.ceil(retryAfterMs / 1000);
    super(`This key may hand in ${perMinute} jobs a minute and has, ${seconds} s from now would do`);
  }
}

/** A bucket for each owner: full at first, emptied by jobs, filled again evenly over a minute. */
export class RateLimit {
  readonly #perMinute: number;
  readonly #now: () => number;
  /** What was left in an owner's bucket, and when. */
  readonly #buckets = new Map<string, { left: number; at: number }>();

  /** `now` gives milliseconds from any fixed point. */
  constructor({ perMinute, now = () => performance.now() }: { perMinute: number; now?: () => number }) {
    this.#perMinute = perMinute;
    this.#now = now;
  }

  /** Counts a job. @throws RateLimitError */
  take(owner: string): void {
    const now = this.#now(), rate = this.#perMinute / 60_000;
    const bucket = this.#buckets.get(owner) ?? { left: this.#perMinute, at: now };
    const left = Math.min(this.#perMinute, bucket.left + (now - bucket.at) * rate);
    if (left < 1) throw new RateLimitError(this.#perMinute, (1 - left) / rate);
    this.#buckets.set(owner, { left: left - 1, at: now });
  }
}
