/** Stages that work on latents alone, without a network: blending, other sizes, small pictures. */
import { blendLatents } from "../ops/guide.ts";
import { HISTORY_SLOTS } from "../ops/latents.ts";
import { latentsToRgb, resample } from "../ops/resample.ts";
import type { Recorder } from "./canvas.ts";
import type { LatentShape } from "./start.ts";

/** Sets what `mask` does not cover to `initial` as noisy as `level` says, by `firstNoise`. */
export function recordBlend(shape: LatentShape): Recorder {
  return {
    record(graph) {
      const f32 = (name: string) => graph.input(name, shape, "f32");
      const [latents, initial, noise, mask] = [f32("latents"), f32("initial"), f32("firstNoise"), f32("mask")];
      blendLatents({ latents, initial, noise, mask, level: graph.input("level", [2], "f32") });
    },
  };
}

/** `source` [images, …from, channels] to `resized`, by the tables `rows` and `columns` of so many taps. */
export function recordResample(
  [images, height, width, channels]: LatentShape,
  { from, taps }: { from: readonly [height: number, width: number]; taps: readonly [rows: number, columns: number] },
): Recorder {
  return {
    record(graph) {
      const source = graph.input("source", [images, ...from, channels], "f32");
      const rows = graph.input("rows", [height, 1 + taps[0]], "f32");
      const columns = graph.input("columns", [width, 1 + taps[1]], "f32");
      graph.keep("resized", resample(source, rows, columns));
    },
  };
}

/** `latents`, or every slot of `history`, to `preview` [slots · images, height, width], by `matrix` [channels + 1, 4]. */
export function recordPreview([images, ...shape]: LatentShape, of: "latents" | "history"): Recorder {
  return {
    record(graph) {
      const matrix = graph.input("matrix", [shape[2] + 1, 4], "f32");
      const slots = graph.input(of, of === "latents" ? [images, ...shape] : [HISTORY_SLOTS, images, ...shape], "f32");
      const count = of === "latents" ? images : HISTORY_SLOTS * images;
      graph.keep("preview", latentsToRgb(slots.view([count, ...shape]), matrix));
    },
  };
}
