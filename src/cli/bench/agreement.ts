/** Networks at sizes that the reference has no numbers of, by two choices of kernels that must come to the same. */
import type { Precision } from "../../engine/protocol.ts";
import { relRms, TOLERANCES } from "../../parity/compare.ts";
import type { Stage } from "./contestant.ts";
import { EngineContestant, type Size } from "./engine.ts";
import { timed } from "./measure.ts";
import { fullModel } from "./sd15.ts";

/** What is compared, in the order of a picture's way: what it is called, what the plan keeps, how far it may be off. */
const COMPARED = {
  encode: { title: "VAE encode", output: "moments", tolerance: TOLERANCES.vae },
  step: { title: "U-Net, one picture", output: "latents", tolerance: TOLERANCES.unet },
  decode: { title: "VAE decode", output: "image", tolerance: TOLERANCES.vae },
} as const satisfies Partial<Record<Stage, unknown>>;

type Compared = keyof typeof COMPARED;

/** What `--only` takes with `--agreement`. */
export const agreementGroups = Object.keys(COMPARED) as Compared[];

/** What is asked for. */
export interface AgreementOptions {
  gpu?: string;
  precision?: Precision;
  only: string;
  sizes: readonly Size[];
}

interface Output {
  what: string;
  numbers: Float32Array;
  tolerance: number;
  ms: number;
}

/**
 * Prints a table of both ways' times and of how far they are apart; resolves with whether all keep their tolerances.
 * The ways are the device's own, and the one whose weights lie in buffers instead of textures, or in textures instead of buffers.
 */
export async function benchAgreement(options: AgreementOptions): Promise<boolean> {
  const folder = fullModel(), own = await EngineContestant.open(folder, options);
  console.error(own.name);
  const storages = own.device.weightStorage === "texture"
    ? ["texture", "buffer"] as const
    : ["buffer", "texture"] as const;
  const [ours, others] = [await outputs(own, options), []] as [Output[], Output[]];
  others.push(
    ...await outputs(await EngineContestant.open(folder, { ...options, weightStorage: storages[1] }), options),
  );
  console.log(
    `| what | weights in ${storages[0]}s | weights in ${storages[1]}s | rel_rms | allowed |\n|---|---|---|---|---|`,
  );
  let agree = true;
  for (const [i, { what, numbers, tolerance, ms }] of ours.entries()) {
    const error = relRms(others[i].numbers, numbers), seconds = (ms: number) => `${(ms / 1000).toFixed(1)} s`;
    agree &&= error <= tolerance;
    console.log(`| ${what} | ${seconds(ms)} | ${seconds(others[i].ms)} | ${error.toPrecision(2)} | ${tolerance} |`);
  }
  return agree;
}

/** Runs what is asked for, once to compile and once for its time where that is short, and closes the contestant. */
async function outputs(engine: EngineContestant, { only, sizes }: AgreementOptions): Promise<Output[]> {
  try {
    const found: Output[] = [];
    for (const size of sizes) {
      for (const stage of agreementGroups.filter((name) => name.includes(only))) {
        const { title, output, tolerance } = COMPARED[stage];
        const plan = await engine.plan(size, stage, { predict: true });
        const ms = await timed(() => {
          plan.run();
          return engine.device.idle();
        });
        const what = `${title}, ${size.width}×${size.height}, ${engine.precision}`;
        found.push({ what, numbers: await plan.read(output), tolerance: tolerance[engine.precision], ms });
      }
    }
    return found;
  } finally {
    engine.close();
  }
}
