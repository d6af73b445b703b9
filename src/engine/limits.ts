/** What sizes a device can run: found by recording the plans, which allocates nothing. */
import { Graph, Value } from "../graph/graph.ts";
import { recordDecode, recordEncode, recordStep } from "./canvas.ts";
import type { StableDiffusion } from "./model.ts";
import type { EngineInfo } from "./protocol.ts";

/** Largest side, in pixels, whatever the memory: pictures beyond are not what these models make. */
const largestSide = 2048;
/** Sides are searched in steps of this many pixels. */
const sideStep = 64;

/**
 * Why a picture of this size cannot be made, or undefined: a kernel would loop or dispatch beyond what the driver runs,
 * or a value is larger than the device binds.
 */
export function whyTooLarge(model: StableDiffusion, height: number, width: number): string | undefined {
  const { device, target, vaeTarget } = model.backend, size = { images: 1, height, width };
  try {
    for (const record of [recordStep(model, size, 2), recordDecode(model, size), recordEncode(model, size)]) {
      const graph = new Graph(record.isVAE ? vaeTarget : target);
      record.record(graph);
      for (const { kernel, operands, writes } of graph.dispatches) {
        const written = operands[writes], bytes = written instanceof Value ? written.storage.bytes : 0;
        if (bytes > device.maxBinding) return `${kernel.name} would write ${bytes} bytes, ${device.maxBinding} at most`;
      }
    }
  } catch (error) {
    if (error instanceof RangeError) return error.message;
    throw error;
  }
}

/** The largest square that {@link whyTooLarge} lets through, by bisection. */
export function sizeLimits(model: StableDiffusion): EngineInfo["limits"] {
  let fits = 1, tooLarge = largestSide / sideStep + 1; // in sideSteps
  while (tooLarge - fits > 1) {
    const middle = fits + tooLarge >> 1, side = middle * sideStep;
    if (whyTooLarge(model, side, side)) tooLarge = middle;
    else fits = middle;
  }
  return { maxSide: largestSide, maxPixels: (fits * sideStep) ** 2, multiple: model.vae.scale };
}
