/** What can go wrong, as HTTP answers: the only file that knows their status codes. */
import { EngineError } from "../engine/client.ts";
import { lowerFirst } from "../engine/fields.ts";
import { ConflictError, RequestError } from "../engine/request.ts";
import { PictureError } from "../image/read.ts";
import { DrainingError, QueueFullError } from "./queue.ts";
import { Refusal, type RefusalCode } from "./refusal.ts";

const refusalStatus: Record<RefusalCode, number> = {
  malformed_body: 400,
  not_found: 404,
  model_not_found: 404,
  method_not_allowed: 405,
  upload_too_slow: 408,
  body_too_large: 413,
  unsupported_media_type: 415,
  not_ready: 503,
  too_many_uploads: 503,
};
const pictureStatus: Record<PictureError["refusal"], number> = {
  damaged: 400,
  too_slow: 400,
  too_big: 413,
  unsupported: 415,
  unfit: 400,
};
const engineStatus: Record<EngineError["code"], number> = {
  invalid_request: 400,
  internal: 500,
  device_lost: 503,
  out_of_memory: 503,
};
/** Fields whose value names something: an unknown name is something that is not found. */
const namingFields = ["model", "sampler", "scheduler"];
/** Logged for a client that left; nobody reads the answer. */
const clientLeft = 499;

interface Answer {
  status: number;
  code: string;
  message: string;
  /** The field at fault. */
  param?: string;
  headers?: Record<string, string>;
}

/** An error as an answer of the shape `{"error":{"message","type","param","code"}}`. */
export function errorResponse(error: unknown): Response {
  const { status, code, message, param = null, headers } = answerTo(error);
  const type = status < 500 ? "invalid_request_error" : "server_error";
  return Response.json({ error: { message, type, param, code } }, { status, headers });
}

/** Whether an error is the programme's own and should be looked into. */
export function isUnexpected(error: unknown): boolean {
  return answerTo(error).status === 500;
}

function answerTo(error: unknown): Answer {
  if (!(error instanceof Error)) return { status: 500, code: "internal", message: "The server failed" };
  const { message } = error;
  if (error instanceof RequestError) {
    const unknown = namingFields.includes(error.field) && !(error instanceof ConflictError);
    return {
      status: unknown ? 404 : 400,
      code: unknown ? `${error.field}_not_found` : "invalid_field",
      message,
      param: error.field,
    };
  }
  if (error instanceof PictureError) {
    return {
      status: pictureStatus[error.refusal],
      code: `picture_${error.refusal}`,
      message: `Field ${error.field}: ${lowerFirst(message)}`,
      param: error.field,
    };
  }
  if (error instanceof Refusal) {
    return { status: refusalStatus[error.code], code: error.code, message, headers: error.headers };
  }
  if (error instanceof QueueFullError) {
    return { status: 429, code: "queue_full", message, headers: retryAfter(error.retryAfterMs) };
  }
  if (error instanceof DrainingError) {
    return { status: 503, code: "draining", message, headers: retryAfter(error.retryAfterMs) };
  }
  if (error instanceof EngineError) {
    const status = engineStatus[error.code];
    return {
      status,
      code: error.code,
      message,
      param: error.field,
      headers: status === 503 ? retryAfter(10_000) : {},
    };
  }
  if (error.name === "AbortError") return { status: clientLeft, code: "client_left", message };
  return { status: 500, code: "internal", message: `The server failed: ${message}` };
}

function retryAfter(ms: number): Record<string, string> {
  return { "retry-after": `${Math.ceil(ms / 1000)}` };
}
