/** What can go wrong, as HTTP answers: the only file that knows their status codes. */
import { EngineError } from "../engine/client.ts";
import { lowerFirst } from "../engine/fields.ts";
import { ConflictError, RequestError } from "../engine/request.ts";
import { PictureError } from "../image/read.ts";
import { DrainingError, QueueFullError } from "./queue.ts";
import { RateLimitError } from "./rate.ts";
import { Refusal, type RefusalCode } from "./refusal.ts";

const refusalStatus: Record<RefusalCode, number> = {
  malformed_host: 400,
  malformed_body: 400,
  invalid_api_key: 401,
  not_found: 404,
  model_not_found: 404,
  job_not_found: 404,
  init_image_missing: 404,
  method_not_allowed: 405,
  upload_too_slow: 408,
  job_over: 409,
  job_cancelled: 409,
  result_expired: 410,
  body_too_large: 413,
  unsupported_media_type: 415,
  idempotency_mismatch: 422,
  not_ready: 503,
  server_stopped: 503,
  too_many_uploads: 503,
  deadline_passed: 504,
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
  device_hung: 503,
  worker_crashed: 503,
  out_of_memory: 503,
  engine_failed: 503,
};
/** Codes of what ended the device or the Worker. */
const fatalCodes: readonly EngineError["code"][] = ["device_lost", "device_hung", "worker_crashed"];
/** Fields whose value names something: an unknown name is something that is not found. */
const namingFields = ["model", "sampler", "scheduler", "sampler_name", "sd_model_checkpoint"];
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

/** The ways in which clients expect errors. */
export type ErrorShape = "native" | "a1111" | "huggingface" | "kserve";

/** An error as an answer of the shape that the clients of a surface know. */
export function errorResponse(error: unknown, shape: ErrorShape = "native"): Response {
  const answer = answerTo(error);
  const { status, headers } = answer;
  switch (shape) {
    case "native":
      return Response.json(bodyOf(answer), { status, headers });
    case "a1111":
      return a1111Response(answer);
    case "huggingface": {
      const seconds = headers?.["retry-after"];
      const estimate = status === 503 && seconds !== undefined ? { estimated_time: Number(seconds) } : {};
      return Response.json({ error: answer.message, ...estimate }, { status, headers });
    }
    case "kserve":
      return Response.json({ error: answer.message }, { status, headers });
    default:
      return shape satisfies never;
  }
}

/** An error as it stands in a native answer's body: `{"error":{"message","type","param","code"}}`. */
export function errorBody(error: unknown) {
  return bodyOf(answerTo(error));
}

function bodyOf({ status, code, message, param }: Answer) {
  const type = status < 500 ? "invalid_request_error" : "server_error";
  return { error: { message, type, param: param ?? null, code } };
}

/** A1111 answers a field that will not do as its framework does, and all else in a shape of its own. */
function a1111Response({ status, code, message, param, headers }: Answer): Response {
  if (code === "not_found") return Response.json({ detail: "Not Found" }, { status, headers });
  if (param !== undefined && status === 400) {
    const detail = [{ loc: ["body", param], msg: message, type: "value_error" }];
    return Response.json({ detail }, { status: 422, headers });
  }
  const detail = code === "sampler_name_not_found" ? "Sampler not found" : message;
  return Response.json({ error: "HTTPException", detail, body: "", errors: message }, { status, headers });
}

/** The code by which an answer names an error. */
export function codeOf(error: unknown): string {
  return answerTo(error).code;
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
  if (error instanceof RateLimitError) {
    return { status: 429, code: "rate_limited", message, headers: retryAfter(error.retryAfterMs) };
  }
  if (error instanceof DrainingError) {
    return { status: 503, code: "draining", message, headers: retryAfter(error.retryAfterMs) };
  }
  if (error instanceof EngineError) {
    const status = engineStatus[error.code], headers = status === 503 ? retryAfter(10_000) : {};
    // The request was tried twice already, and ended the device or the Worker each time: clients are not to send it on their own.
    if (fatalCodes.includes(error.code)) headers["x-should-retry"] = "false";
    return { status, code: error.code, message, param: error.field, headers };
  }
  if (error.name === "AbortError") return { status: clientLeft, code: "client_left", message };
  return { status: 500, code: "internal", message: `The server failed: ${message}` };
}

function retryAfter(ms: number): Record<string, string> {
  return { "retry-after": `${Math.ceil(ms / 1000)}` };
}
