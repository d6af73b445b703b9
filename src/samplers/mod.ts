/** Samplers as tables of numbers: from a name, a model's scheduler_config.json and a request to a run's rows. */
import { readConfig, type SchedulerJson, TRAINING_RULES, UnsupportedScheduleError } from "./config.ts";
import { ddimTrajectory } from "./ddim.ts";
import { ddpmTrajectory } from "./ddpm.ts";
import { dpmppTrajectory } from "./dpmpp_2m.ts";
import { eulerTrajectory } from "./euler.ts";
import { eulerAncestralTrajectory } from "./euler_a.ts";
import { goTogether, type SamplerName, samplersWithSigmas, type SchedulerName } from "./names.ts";
import type { RunOptions } from "./options.ts";
import type { Step, Trajectory } from "./step.ts";

export { parseSchedulerJson, type SchedulerJson, UnsupportedScheduleError } from "./config.ts";
export * from "./names.ts";
export type { Step, Trajectory } from "./step.ts";

/** What a request says about its run. */
export interface TrajectoryOptions {
  /** 1 to the model's training timesteps. */
  steps: number;
  /** Stochasticity of DDIM, 0 to 1; the others have none to choose. */
  eta?: number;
  /** Image-to-image: the share of the steps that is run, above 0 to 1. All of them where absent. */
  strength?: number;
  scheduler?: SchedulerName;
}

/**
 * The whole run of a sampler with a model's scheduler_config.json, in the reference's own space: variance-preserving
 * latents for DDPM, DDIM and DPM++ 2M, clean + sigma · ε for both Eulers.
 *
 * Throws a RangeError where `steps`, `eta` or `strength` is out of range, and an UnsupportedScheduleError where the
 * scheduler or the config is not for this sampler.
 * @example createTrajectory("euler", { timestep_spacing: "leading" }, { steps: 20 }).steps[0].timestep // 950
 */
export function createTrajectory(
  name: SamplerName,
  config: SchedulerJson,
  { steps, eta = 0, strength, scheduler = "automatic" }: TrajectoryOptions,
): Trajectory {
  checkSteps(steps, readConfig(config, TRAINING_RULES, name).num_train_timesteps);
  if (!(eta >= 0 && eta <= 1)) throw new RangeError(`Cannot sample with eta ${eta}: use 0 to 1`);
  const begin = strength === undefined ? 0 : firstStep(steps, strength);
  const trajectory = run(name, config, { steps, begin, eta, karras: useKarras(name, scheduler) });
  if (allFinite(trajectory)) return trajectory;
  throw new UnsupportedScheduleError(
    `Cannot take ${steps} steps with sampler ${name} and this scheduler_config.json: two steps would share a noise level ` +
      `or divide by a signal of 0; take fewer steps or another sampler`,
  );
}

function run(name: SamplerName, config: SchedulerJson, options: RunOptions): Trajectory {
  switch (name) {
    case "ddpm":
      return ddpmTrajectory(config, options);
    case "ddim":
      return ddimTrajectory(config, options);
    case "euler":
      return eulerTrajectory(config, options);
    case "euler_a":
      return eulerAncestralTrajectory(config, options);
    case "dpmpp_2m":
      return dpmppTrajectory(config, options);
    default:
      return name satisfies never;
  }
}

function checkSteps(steps: number, training: number): void {
  if (!Number.isInteger(steps) || steps < 1) {
    throw new RangeError(`Cannot take ${steps} steps: use a whole number from 1`);
  }
  if (steps > training) {
    throw new RangeError(
      `Cannot take ${steps} steps: the model was trained on ${training} timesteps, use at most those`,
    );
  }
}

/** Image-to-image leaves out the first steps: those above the noise that `strength` asks for. */
function firstStep(steps: number, strength: number): number {
  if (!(strength > 0 && strength <= 1)) {
    throw new RangeError(`Cannot start from a picture with strength ${strength}: use above 0 to 1`);
  }
  const taken = Math.floor(steps * strength);
  if (taken > 0) return steps - taken;
  throw new RangeError(
    `Cannot start from a picture with strength ${strength}: of ${steps} steps it runs none; use at least ${
      Math.ceil(1000 / steps) / 1000
    }`,
  );
}

function useKarras(name: SamplerName, scheduler: SchedulerName): boolean | undefined {
  if (scheduler === "automatic") return undefined;
  if (samplersWithSigmas.includes(name)) return scheduler === "karras";
  if (goTogether(name, scheduler)) return undefined;
  const others = samplersWithSigmas.join(", ");
  throw new UnsupportedScheduleError(
    `Sampler ${name} has no Karras sigmas: use scheduler automatic, or one of the samplers ${others}`,
  );
}

function allFinite({ initialScale, start, steps }: Trajectory): boolean {
  const finite = ({ timestep, inputScale, skip, out, x, denoised, unclipped = 0, noise }: Step) =>
    [timestep, inputScale, skip, out, x, ...denoised, unclipped, noise].every(Number.isFinite);
  return [initialScale, start.signal, start.noise].every(Number.isFinite) && steps.length > 0 && steps.every(finite);
}
