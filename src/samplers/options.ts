import type { SchedulerName } from "./names.ts";

/** What a sampler is asked for, checked: which part of which run. */
export interface RunOptions {
  /** Steps that the schedule is divided into. */
  steps: number;
  /** Index of the first step taken: above 0 for image-to-image. */
  begin: number;
  /** Stochasticity, 0 to 1, of the samplers that have it. */
  eta: number;
  /** How sigmas are spread, of the samplers that have a choice. */
  scheduler: SchedulerName;
  /** Noise that Euler adds anew, in the reference's units: its `s_churn`, and its `s_noise` as a factor. */
  churn: number;
  churnNoise: number;
}
