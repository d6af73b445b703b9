/** The noise of one request's picture: its seed's stream, varied as the request says, or a Brownian path where rows ask for one. */
import type { Step, Trajectory } from "../samplers/step.ts";
import { brownianNoise } from "../tensor/brownian.ts";
import { imageNoise } from "../tensor/image_noise.ts";
import type { GenerateRequest } from "./request.ts";

/** What a draw is for: the posterior of a picture's latents, the latents that sampling starts from, or a row's noise. */
export type NoiseFor = "posterior" | "start" | Step;

/** The next draw of standard normals. */
export type Noise = (what: NoiseFor) => Float32Array;

/** The noise of one picture of `shape` latents [channels, height, width], `scale` pixels each; a picture of its own seed. */
export function noiseOf(
  { seed, rng, subseed, subseedStrength, seedResizeFrom, seedDelta }: Pick<
    GenerateRequest,
    "seed" | "rng" | "subseed" | "subseedStrength" | "seedResizeFrom" | "seedDelta"
  >,
  { shape, scale, trajectory }: {
    shape: readonly [channels: number, height: number, width: number];
    scale: number;
    trajectory: Pick<Trajectory, "noiseRange">;
  },
): Noise {
  const resizeFrom = seedResizeFrom &&
    [Math.floor(seedResizeFrom.height / scale), Math.floor(seedResizeFrom.width / scale)] as const;
  const stream = imageNoise({ seed, rng, shape, subseed, subseedStrength, resizeFrom, seedDelta });
  const path = trajectory.noiseRange && brownianNoise({ seed, rng, shape, range: trajectory.noiseRange });
  return (what) => {
    if (what === "posterior") return stream.next();
    if (what === "start") return stream.start();
    return path && what.noiseInterval ? path(what.noiseInterval) : stream.next();
  };
}
