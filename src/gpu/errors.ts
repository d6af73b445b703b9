/** The GPU refused work: an invalid kernel, binding or size. Always a fault of ours, never of a request. */
export class GpuValidationError extends Error {
  override name = "GpuValidationError";
}

/** The GPU could not allocate what was asked. */
export class GpuOutOfMemoryError extends Error {
  override name = "GpuOutOfMemoryError";
  /** `held`: bytes that were in use when it was asked. */
  constructor(message: string, readonly held: number) {
    super(message);
  }
}

/** The device is gone (driver reset, hot unplug, destroyed): nothing made with it works any more. */
export class DeviceLostError extends Error {
  override name = "DeviceLostError";
}
