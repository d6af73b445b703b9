/** How jobs and the engine fail, as everything outside its Worker sees it. */
import type { EngineFailure } from "./protocol.ts";

/** The kinds of failures after which another Worker starts. */
export type Fault = "device_lost" | "device_hung" | "worker_crashed";

/** A job or an engine that failed, with the failure's code. */
export class EngineError extends Error {
  override name = "EngineError";
  constructor(
    readonly code: EngineFailure["code"] | Exclude<Fault, "device_lost"> | "engine_failed",
    message: string,
    readonly field?: string,
  ) {
    super(message);
  }
}

/** A failure that the Worker told of. */
export function errorOf({ code, message, field }: EngineFailure): EngineError {
  return new EngineError(code, message, field);
}
