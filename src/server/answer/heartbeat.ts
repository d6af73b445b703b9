/** Streams of server-sent events that nobody on the way takes for dead. */

/**
 * `events` with a comment wherever they have been silent for `heartbeatMs`: proxies end connections on which nothing comes,
 * most of them after a minute, and a job may wait for its turn much longer. Clients pass over comments.
 */
export async function* withHeartbeats(
  events: AsyncGenerator<Uint8Array<ArrayBuffer>, void>,
  { heartbeatMs = 15_000 } = {},
): AsyncGenerator<Uint8Array<ArrayBuffer>, void> {
  for (let next = events.next();;) {
    const result = await within(heartbeatMs, next);
    if (result === "late") {
      yield new TextEncoder().encode(": still here\n\n");
      continue;
    }
    if (result.done) return;
    yield result.value;
    next = events.next();
  }
}

/** What `promise` resolves with, or "late". */
async function within<T>(ms: number, promise: Promise<T>): Promise<T | "late"> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<"late">((resolve) => timer = setTimeout(() => resolve("late"), ms));
  return await Promise.race([promise, late]).finally(() => clearTimeout(timer));
}
