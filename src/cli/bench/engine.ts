/** This engine as a contestant: the plans that pictures are made with, one at a time. */
import { openModel } from "../../checkpoint/model.ts";
import { Canvas } from "../../engine/canvas.ts";
import { createBackend, openStableDiffusion, type StableDiffusion } from "../../engine/model.ts";
import type { Precision } from "../../engine/protocol.ts";
import { readTunings, tuningOf, tuningPath } from "../../engine/tuning.ts";
import { type Device, type DeviceOptions, openDevice } from "../../gpu/device.ts";
import type { Plan } from "../../graph/plan.ts";
import { rowFields } from "../../ops/latents.ts";
import { gaussian } from "../../tensor/random.ts";
import { elements } from "../../tensor/shape.ts";
import type { Contestant, Round, Stage } from "./contestant.ts";
import { timed } from "./measure.ts";

/** In pixels. */
export interface Size {
  width: number;
  height: number;
}

type Row = Partial<Record<typeof rowFields[number], number>>;

/** A row that leaves the latents as they are, so that every step computes with the same. */
const ROW: Row = {
  inputScale: 1,
  guidanceScale: 7,
  out: 1,
  x: 1,
  saveSlot: -1,
};

/** A row after which the latents are what the U-Net predicted. */
const PREDICTION: Row = { inputScale: 1, guidanceScale: 1, out: 1, unclipped: 1, saveSlot: -1 };

/** What the plans of the stages read, besides weights. */
const INPUTS: Readonly<Record<Stage, readonly string[]>> = {
  text: ["ids"],
  step: ["latents", "noise", "context", "row", "timestep"],
  decode: ["code"],
  encode: ["image"],
};

export class EngineContestant implements Contestant {
  readonly warmsUp = true;
  readonly name: string;
  #canvas?: Canvas;

  private constructor(
    readonly device: Device,
    readonly model: StableDiffusion,
    readonly precision: Precision,
    readonly tokenMerging = 0,
  ) {
    const tuned = model.backend.target.tiles ? ", tuned" : "";
    this.name = `ours, ${precision}, ${device.name}${tuned}${tokenMerging > 0 ? `, merging ${tokenMerging}` : ""}`;
  }

  /** Opens the model folder at `path`; its weights are loaded when they are first needed. */
  static async open(
    path: string,
    { gpu, weightStorage, ...options }: Pick<DeviceOptions, "gpu" | "weightStorage"> & { precision?: Precision },
  ): Promise<EngineContestant> {
    const tunings = readTunings(tuningPath, console.error);
    const device = await openDevice({ gpu, weightStorage, wayOf: (adapter) => tuningOf(tunings, adapter) });
    const tuning = tuningOf(tunings, device.adapter, console.error);
    const precision = options.precision ?? (device.f16 ? "f16" : "f32");
    const backend = createBackend(device, precision, { tiles: tuning?.tiles });
    return new EngineContestant(device, openStableDiffusion(backend, openModel(path), { name: "sd15" }), precision);
  }

  /** The same model on the same device, with this share of tokens merged. Close it with `closeCanvas` alone. */
  merging(ratio: number): EngineContestant {
    return new EngineContestant(this.device, this.model, this.precision, ratio);
  }

  /**
   * The plan of a stage, its inputs filled with numbers of the usual size. A step is of both halves of guidance and leaves
   * the latents as they are; with `predict` it is of one, and the latents become its prediction.
   */
  async plan({ width, height }: Size, stage: Stage, { predict = false } = {}): Promise<Plan> {
    const { size } = this.#canvas ?? {};
    if (size?.width !== width || size.height !== height) {
      this.#canvas?.[Symbol.dispose]();
      this.#canvas = new Canvas(this.model, { images: 1, height, width, tokenMerging: this.tokenMerging });
    }
    const plan = await this.#open(this.#canvas!, stage, { halves: predict ? 1 : 2 });
    const row = predict ? PREDICTION : ROW;
    for (const name of INPUTS[stage]) {
      const { dtype, shape } = plan.named.get(name)!.value, count = elements(shape);
      if (name === "row") plan.write(name, Float32Array.from(rowFields, (field) => row[field] ?? 0));
      else if (dtype === "u32") plan.write(name, new Uint32Array(count).fill(320));
      else plan.write(name, gaussian({ seed: 1, rng: "cpu", shape: [count] })());
    }
    return plan;
  }

  async round(side: number, wanted: readonly Stage[]): Promise<Round> {
    const round: Round = {};
    for (const stage of wanted) {
      const plan = await this.plan({ width: side, height: side }, stage);
      await this.device.idle();
      round[stage] = await timed(() => {
        plan.run();
        return this.device.idle();
      });
    }
    return round;
  }

  /** All components anew. */
  async load(): Promise<number> {
    this.closeCanvas();
    let ms = 0;
    for (const component of Object.values(this.model.components)) {
      component.evict();
      await this.device.idle();
      ms += await timed(() => component.load());
    }
    return ms;
  }

  closeCanvas(): void {
    this.#canvas?.[Symbol.dispose]();
    this.#canvas = undefined;
  }

  close(): void {
    this.closeCanvas();
    this.model[Symbol.dispose]();
    this.device[Symbol.dispose]();
  }

  #open(canvas: Canvas, stage: Stage, { halves }: { halves: 1 | 2 }): Promise<Plan> {
    switch (stage) {
      case "text":
        return canvas.text({ sequences: 2 });
      case "step":
        return canvas.step({ halves });
      case "decode":
        return canvas.decode();
      case "encode":
        return canvas.encode();
      default:
        return stage satisfies never;
    }
  }
}
