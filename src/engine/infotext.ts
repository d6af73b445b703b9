/** A request as the text that its picture carries: all that is needed to make it again, and nothing that changes with time. */
import { writeInfotext } from "../png/infotext.ts";
import { defaultEta, samplerLabel, schedulerLabel } from "../samplers/names.ts";
import type { EngineInfo } from "./protocol.ts";
import type { GenerateRequest } from "./request.ts";
import { version } from "./version.ts";

/** The infotext of a request's picture; keys and their order are A1111's, absent ones stand for their usual values. */
export function infotextOf(request: GenerateRequest, model: EngineInfo["model"]): string {
  const { prompt, negativePrompt, width, height } = request;
  const parameters: Record<string, string | undefined> = {
    "Steps": `${request.steps}`,
    "Sampler": samplerLabel(request.sampler),
    "Schedule type": schedulerLabel(request.scheduler),
    "CFG scale": `${request.guidanceScale}`,
    "Seed": `${request.seed}`,
    "Size": `${width}x${height}`,
    "Model": model.name,
    "Denoising strength": request.initImage && `${request.strength}`,
    "RNG": request.rng === "cpu" ? "CPU" : undefined,
    "Eta": request.eta === defaultEta(request.sampler) ? undefined : `${request.eta}`,
    "Version": version,
  };
  const present = Object.entries(parameters).filter((entry): entry is [string, string] => entry[1] !== undefined);
  return writeInfotext({ prompt, negativePrompt, parameters: Object.fromEntries(present) });
}
