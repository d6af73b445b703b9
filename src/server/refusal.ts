/** What the server itself refuses, before it comes to a request's fields. */

/** Why: the code of its answer. */
export type RefusalCode =
  | "malformed_host"
  | "malformed_body"
  | "body_too_large"
  | "upload_too_slow"
  | "too_many_uploads"
  | "unsupported_media_type"
  | "invalid_api_key"
  | "not_found"
  | "model_not_found"
  | "method_not_allowed"
  | "job_not_found"
  | "init_image_missing"
  | "job_over"
  | "job_cancelled"
  | "result_expired"
  | "idempotency_mismatch"
  | "deadline_passed"
  | "not_ready"
  | "server_stopped";

/** A request that the server refuses before it comes to its fields. */
export class Refusal extends Error {
  override name = "Refusal";
  constructor(readonly code: RefusalCode, message: string, readonly headers: Record<string, string> = {}) {
    super(message);
  }
}
