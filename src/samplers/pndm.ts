import { flag, oneOf, readConfig, type SchedulerJson, TRAINING_RULES, UnsupportedScheduleError } from "./config.ts";
import type { RunOptions } from "./options.ts";
import { alphasCumprod, wholeTimesteps } from "./schedule.ts";
import type { Prediction, Step, Trajectory } from "./step.ts";

const RULES = {
  ...TRAINING_RULES,
  prediction_type: oneOf("epsilon", "v_prediction"),
  timestep_spacing: oneOf("leading", "trailing", "linspace"),
  set_alpha_to_one: flag(false),
  skip_prk_steps: flag(false),
};

/** Adams-Bashforth's weights for even steps, by how many outputs there are: the newest first. */
const ADAMS_BASHFORTH = [[1], [3 / 2, -1 / 2], [23 / 12, -16 / 12, 5 / 12], [55 / 24, -59 / 24, 37 / 24, -9 / 24]];
const RUNGE_KUTTA = [1 / 6, 1 / 3, 1 / 3, 1 / 6];

/** The share of the signal's variance at a timestep, which may lie below the first. */
type AlphaAt = (timestep: number) => number;

/** A row of PNDM: latents go from one timestep to another along a mean of the model's outputs. */
interface Move {
  /** What the U-Net is told. */
  timestep: number;
  from: number;
  to: number;
  /** Weights of outputs by rows ago. */
  outputs: number[];
  /** Whether it starts from the saved latents, or saves its own. */
  start?: "saved" | "saves";
}

/**
 * PNDM's linear multistep rows (PLMS): Liu et al. (2022), "Pseudo Numerical Methods for Diffusion Models", algorithm 2 without
 * Runge-Kutta steps. `timesteps` are the run's, the second one twice; its first two rows are a step of Heun's. `kept` are the
 * rows before these whose outputs count.
 */
export function plms(timesteps: readonly number[], stride: number, kept: number[] = []): Move[] {
  const before = kept.length === 0 ? 0 : kept.at(-1)! + RUNGE_KUTTA.length;
  return timesteps.map((timestep, i) => {
    const row = before + i;
    if (row === 1) return { timestep, from: timestep + stride, to: timestep, outputs: [1 / 2, 1 / 2], start: "saved" };
    kept = [row, ...kept.toReversed()].slice(0, ADAMS_BASHFORTH.length).reverse();
    const outputs: number[] = [];
    for (const [k, weight] of ADAMS_BASHFORTH[kept.length - 1].entries()) outputs[row - kept.at(-1 - k)!] = weight;
    return {
      timestep,
      from: timestep,
      to: timestep - stride,
      outputs: Array.from(outputs, (weight) => weight ?? 0),
      start: row === 0 ? "saves" : undefined,
    };
  });
}

/**
 * PNDM's first three steps by Runge and Kutta's method, four rows each, between the first four of `timesteps`: the same
 * paper, equation 13.
 */
export function rungeKutta(timesteps: readonly number[], stride: number): Move[] {
  const half = Math.floor(stride / 2);
  return [0, 1, 2].flatMap((step): Move[] => {
    const [from, to] = [timesteps[step], timesteps[step + 1]], middle = to + half;
    return [
      { timestep: from, from, to: from - half, outputs: [1], start: "saves" },
      { timestep: middle, from, to: middle, outputs: [1], start: "saved" },
      { timestep: middle, from, to: middle - half, outputs: [1], start: "saved" },
      { timestep: to, from, to, outputs: RUNGE_KUTTA.toReversed(), start: "saved" },
    ];
  });
}

/** The row of a move: equation 11 of the paper, of ε or of v. Its D are the model's outputs as they are. */
function rowOf({ timestep, from, to, outputs, start }: Move, prediction: Prediction, alphaAt: AlphaAt): Step {
  const [alpha, alphaAfter] = [alphaAt(from), alphaAt(to)];
  const noise = -(alphaAfter - alpha) /
    (alpha * Math.sqrt(1 - alphaAfter) + Math.sqrt(alpha * (1 - alpha) * alphaAfter));
  // ε is the output, or with v sqrt(alpha) · v + sqrt(1 − alpha) · latents.
  const isV = prediction === "v_prediction";
  const latents = Math.sqrt(alphaAfter / alpha) + (isV ? noise * Math.sqrt(1 - alpha) : 0);
  const output = noise * (isV ? Math.sqrt(alpha) : 1), level = alphaAt(timestep);
  return {
    timestep,
    level: { signal: Math.sqrt(level), noise: Math.sqrt(1 - level) },
    inputScale: 1,
    skip: 0,
    out: 1,
    ...(start === "saved" ? { x: 0, fromSaved: latents } : { x: latents, saves: start === "saves" }),
    denoised: outputs.map((weight) => output * weight),
    noise: 0,
  };
}

/** A PNDM run with the settings of the reference's PNDMScheduler. */
export function pndmTrajectory(json: SchedulerJson, { steps, begin }: RunOptions): Trajectory {
  const config = readConfig(json, RULES, "pndm");
  const alphas = alphasCumprod(config), final = config.set_alpha_to_one ? 1 : alphas[0];
  const alphaAt = (timestep: number) => timestep < 0 ? final : alphas[timestep] ?? NaN;
  const timesteps = wholeTimesteps(config, steps), stride = Math.floor(config.num_train_timesteps / steps);
  let moves: Move[];
  if (config.skip_prk_steps) {
    const [first, second, ...others] = timesteps;
    moves = plms(second === undefined ? [first] : [first, second, second, ...others].slice(begin), stride);
  } else {
    checkRungeKutta(timesteps.length, begin);
    moves = [...rungeKutta(timesteps, stride), ...plms(timesteps.slice(3), stride, [0, 4, 8])];
  }
  const level = alphaAt(moves[0].timestep);
  return {
    initialScale: 1,
    start: { signal: Math.sqrt(level), noise: Math.sqrt(1 - level) },
    steps: moves.map((move) => rowOf(move, config.prediction_type, alphaAt)),
  };
}

function checkRungeKutta(steps: number, begin: number): void {
  if (steps >= 4 && begin === 0) return;
  const why = steps < 4
    ? `${steps} ${steps === 1 ? "step" : "steps"}: it takes 4 or more`
    : "a picture to start from: its Runge-Kutta steps are the first";
  throw new UnsupportedScheduleError(
    `Cannot run sampler pndm with ${why}, unless skip_prk_steps is true in the scheduler_config.json`,
    steps < 4 ? "steps" : "sampler",
  );
}
