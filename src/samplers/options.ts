/** What a sampler is asked for, checked: which part of which run. */
export interface RunOptions {
  /** Steps that the schedule is divided into. */
  steps: number;
  /** Index of the first step taken: above 0 for image-to-image. */
  begin: number;
  /** Stochasticity, 0 to 1, of the samplers that have it. */
  eta: number;
  /** Whether sigmas follow Karras, of the samplers that can: as scheduler_config.json says where absent. */
  karras?: boolean;
}
