/** Requests that are what they should be, and still cannot be run by this model on this device. */

/** A request that cannot be run as it is; the message says why. */
export class RefusedError extends Error {
  override name = "RefusedError";
  /** The field at fault, as clients know it. */
  readonly field?: string;
  constructor(message: string, { field, ...options }: ErrorOptions & { field?: string } = {}) {
    super(message, options);
    this.field = field;
  }
}
