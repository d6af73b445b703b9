/** A download that cannot be made, as one sentence: what, why, and what would do. */
export class HubError extends Error {
  override name = "HubError";
}

/** What may pass by itself: a connection that broke off, a server that is busy. Becomes a HubError when it does not. */
export class Interruption extends Error {
  override name = "Interruption";
  /** How long the server asks to wait, in milliseconds; undefined where it says nothing. */
  readonly afterMs?: number;
  constructor(message: string, { afterMs, ...options }: ErrorOptions & { afterMs?: number } = {}) {
    super(message, options);
    this.afterMs = afterMs;
  }
}
