/** The messages between the server's thread and the Worker that owns the GPU, as two closed unions. */
import type { GenerateRequest } from "./request.ts";

/** The arithmetic of activations: what tensors are stored in between kernels. Sums are f32 in both. */
export type Precision = "f32" | "f16";

/** What a model folder says a request should use where it names nothing (`defaults.json`, else the family's). */
export interface ModelDefaults {
  width: number;
  height: number;
  steps: number;
  guidanceScale: number;
  sampler: string;
  scheduler: string;
}

/** What the engine is running on and with: shown by `/health/ready`, in the banner and in infotexts. */
export interface EngineInfo {
  model: { name: string; defaults: ModelDefaults };
  adapter: { name: string; backend: string; software: boolean };
  precision: Precision;
  /** Largest width × height, in pixels, that the device can run; both sides are multiples of `multiple`. */
  limits: { maxSide: number; maxPixels: number; multiple: number };
  /** Milliseconds from the Worker's start to ready, by stage. */
  timing: Record<string, number>;
}

/** A failure as it crosses the thread boundary. `code` says what the server should do about it. */
export interface EngineFailure {
  code: "invalid_request" | "device_lost" | "out_of_memory" | "internal";
  message: string;
  /** The request's field at fault, where there is one. */
  field?: string;
}

export type ToWorker =
  | { type: "start"; model: string; vae?: string; gpu?: string; precision?: Precision }
  | { type: "generate"; id: string; request: GenerateRequest }
  | { type: "cancel"; id: string };

/** What happens to one job, in this order: started, step…, rows…, done; or cancelled or failed at any point. */
export type JobEvent =
  | { type: "started"; id: string; truncatedTokens: number }
  | { type: "step"; id: string; step: number; steps: number; ms: number }
  /**
   * `rows` PNG scanlines from row `top` on, each one filter-type byte and then width × 3 filtered bytes
   * (RGB, 8 bits), so `bytes.length` is rows × (1 + 3 · width). Bands come in order and without gaps.
   */
  | { type: "rows"; id: string; top: number; rows: number; bytes: Uint8Array<ArrayBuffer> }
  /** Milliseconds by stage: text, encode, denoise, decode, and so on. */
  | { type: "done"; id: string; timing: Record<string, number> }
  | { type: "cancelled"; id: string }
  | { type: "failed"; id: string; error: EngineFailure };

export type FromWorker =
  | { type: "log"; message: string }
  | { type: "ready"; info: EngineInfo }
  /** The engine could not start, or its device is gone: every job not yet answered has failed. */
  | { type: "unready"; error: EngineFailure }
  | JobEvent;
