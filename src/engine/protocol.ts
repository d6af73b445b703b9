/** The messages between the server's thread and the Worker that owns the GPU, as two closed unions. */
import type { MemoryKind } from "../gpu/memory.ts";
import type { GenerateRequest } from "./request.ts";
import type { ResidentKind } from "./residency.ts";
import type { Tunings } from "./tuning.ts";

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

/** What requests for one model depend on. */
export interface ModelInfo {
  model: {
    name: string;
    defaults: ModelDefaults;
    /** Numbers of a token's vector in its text encoder: textual inversions are for one width. */
    textWidth: number;
  };
  /** How its activations and weights are stored. */
  precision: Precision;
  /** Largest width × height, in pixels, that the device can run; both sides are multiples of `multiple`. */
  limits: { maxSide: number; maxPixels: number; multiple: number };
}

/** What device memory is used for. */
export interface MemoryReport {
  /** Bytes that may be used at once; absent where there is no bound. */
  budget?: number;
  /** Bytes used now, and the most there ever were at once. */
  used: number;
  peak: number;
  bytes: Readonly<Record<MemoryKind, number>>;
  /** Components, plans and states that are on the device, least recently used first. */
  residents: { kind: ResidentKind; name: string; bytes: number }[];
  /** How often something was given up to make room. */
  evictions: number;
}

/** What the engine is running on and with, and the model that it uses where a request names none. */
export interface EngineInfo extends ModelInfo {
  adapter: {
    name: string;
    backend: string;
    software: boolean;
    /** What the choice of kernels that was measured for it is known by; absent where nobody has measured. */
    tuning?: string;
  };
  /** Milliseconds of a step without guidance at the default size, where warming up had time to measure it. */
  stepMs?: number;
  /** Milliseconds from the Worker's start to ready, by stage. */
  timing: Record<string, number>;
}

/** One run of a stage. */
export interface StageTime {
  /** text, start or encode, denoise, decode, rows, … */
  stage: string;
  /** Milliseconds since 1970. */
  began: number;
  /** Milliseconds by the clock. */
  ms: number;
  /** Milliseconds on the GPU, of all runs of this stage told together, where the adapter has timestamps. */
  gpuMs?: number;
}

/** A failure as it crosses the thread boundary. `code` says what the server should do about it. */
export interface EngineFailure {
  code: "invalid_request" | "device_lost" | "out_of_memory" | "internal";
  message: string;
  /** The request's field at fault, where there is one. */
  field?: string;
}

/** How the Worker is to start. */
export interface StartOptions {
  /** A folder or file in one of the layouts that `weights/README.md` describes. */
  model: string;
  /** A VAE to take instead of that model's own: a file or a folder. */
  vae?: string;
  /** Index or part of the name of the adapter. */
  gpu?: string;
  /** Which kernels run fastest on which adapters, where that was measured. */
  tunings?: Tunings;
  /** How weights and activations are stored; chosen by model and adapter where absent. */
  precision?: Precision;
  /** Bytes of device memory that may be used at once; chosen from `hostBytes` and the adapter where absent. */
  budget?: number;
  /** Bytes of memory that this machine has, where known. */
  hostBytes?: number;
  /** Whether pictures that nobody sees compile every kernel before the engine is ready, as unless said: not for one picture. */
  warm?: boolean;
  /** Milliseconds without a job after which all device memory is given back; Infinity keeps it, as does absence. */
  keepAlive?: number;
  /** Where models that requests name, and embeddings that prompts name, are looked up. */
  homes?: { modelsDir?: string; embeddingsDir?: string };
}

export type ToWorker =
  | { type: "start"; options: StartOptions }
  | { type: "describe"; id: string; model: string }
  /** One job, or several that are to share a batch. */
  | { type: "generate"; jobs: { id: string; request: GenerateRequest }[] }
  | { type: "cancel"; id: string }
  /** After the jobs that were given before: gives all device memory back. */
  | { type: "unload"; id: string }
  /** After the jobs that were given before: brings a model's weights to the device, without a name the default one's. */
  | { type: "load"; id: string; model?: string };

/**
 * What happens to one job, in this order: started, then for each batch of its pictures step… with preview… among them and
 * each picture's rows…, and done; or cancelled, failed or parted at any point, or deferred before all others. Pictures come
 * by their numbers from 0. Stages are told when they are over and nothing waits for the GPU: those before the first rows
 * before them.
 */
export type JobEvent =
  | { type: "started"; id: string; truncatedTokens: number }
  /** `pictures` were made together, those of other jobs included. */
  | { type: "step"; id: string; step: number; steps: number; ms: number; pictures: number }
  /** A small view of a picture, RGB, [height, width, 3], after a step. */
  | {
    type: "preview";
    id: string;
    image: number;
    step: number;
    width: number;
    height: number;
    pixels: Uint8Array<ArrayBuffer>;
  }
  /**
   * `rows` PNG scanlines from row `top` on, each one filter-type byte and then width × 3 filtered bytes
   * (RGB, 8 bits), so `bytes.length` is rows × (1 + 3 · width). Bands come in order and without gaps.
   */
  | { type: "rows"; id: string; image: number; top: number; rows: number; bytes: Uint8Array<ArrayBuffer> }
  /** Milliseconds by stage: text, encode, denoise, decode, and so on; of what the GPU took in a batch the job's share. */
  | { type: "stage"; id: string } & StageTime
  | { type: "done"; id: string; timing: Record<string, number> }
  /** It failed for want of memory and is begun again: all its events come anew. */
  | { type: "again"; id: string; error: EngineFailure }
  /** It shares no batch with the first of those that it was given with, and nothing was done for it: it is to be given again. */
  | { type: "deferred"; id: string }
  /** It failed in a batch with others: it is to be given again, alone, and all its events come anew. */
  | { type: "parted"; id: string; error: EngineFailure }
  | { type: "cancelled"; id: string }
  | { type: "failed"; id: string; error: EngineFailure };

export type FromWorker =
  | { type: "log"; message: string }
  | { type: "ready"; info: EngineInfo }
  | { type: "memory"; report: MemoryReport }
  /** The job that runs is between two parts of what takes long without an event. */
  | { type: "alive" }
  | { type: "described"; id: string; info: ModelInfo }
  | { type: "undescribed"; id: string; error: EngineFailure }
  /** What was to be unloaded or loaded is, or could not be. */
  | { type: "moved"; id: string; error?: EngineFailure }
  /** The engine could not start. */
  | { type: "unready"; error: EngineFailure }
  /** The device is gone: no job will be answered any more. */
  | { type: "lost"; error: EngineFailure }
  | JobEvent;
