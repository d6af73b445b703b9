/** The fields of a request that say how its prompts are read and its seed is varied. */
import { choice, ConflictError, decimal, field, RequestError, type RequestField, whole } from "./fields.ts";
import { type PromptSyntax, promptSyntaxes } from "./conditioning.ts";
import { emphases, type Emphasis } from "../prompt/emphasis.ts";

/** What a request may say of its prompts and its seed; absent fields are the usual way. */
export interface TextRequest {
  /** How prompts are read; A1111's syntax where absent. */
  promptSyntax?: PromptSyntax;
  /** What weights do; `original` where absent. */
  emphasis?: Emphasis;
  /** The text encoder's layer that is read, from its end: 1, the last, where absent. */
  clipSkip?: number;
  /** The seed whose noise the start's is turned towards, by `subseedStrength` above 0 to 1. */
  subseed?: number;
  subseedStrength?: number;
  /** Pixels of the picture whose noise stands in the middle of this one's. */
  seedResizeFrom?: { width: number; height: number };
  /** ENSD: noise after the start's comes from the seed plus this. */
  seedDelta?: number;
}

const largestSeed = 2 ** 32 - 1;

/** The fields, by name; sides are at most `maxSide`. */
export function textFields({ maxSide }: { maxSide: number }) {
  const side = whole({ min: -1, max: maxSide });
  return {
    prompt_syntax: field(
      choice(promptSyntaxes),
      "a1111",
      "a1111 reads (weights:1.2), [from:to:when], [a|b], AND and BREAK, at any length; plain reads 77 tokens as they are",
    ),
    emphasis: field(
      choice(emphases),
      "original",
      "What weights in prompts do: original restores the mean, no_norm does not",
    ),
    clip_skip: field(whole({ min: 1, max: 12 }), 1, "Layer of the text encoder that is read, from its end"),
    subseed: field(whole({ min: -1, max: largestSeed }), -1, "Seed of the variation; -1 chooses one"),
    subseed_strength: field(decimal({ min: 0, max: 1 }), 0, "How far the picture is turned towards the variation's"),
    seed_resize_from_w: field(side, -1, "Width of the picture whose noise is kept in the middle of this one"),
    seed_resize_from_h: field(side, -1, "Height of that picture"),
    eta_noise_seed_delta: field(
      whole({ min: 0, max: largestSeed }),
      0,
      "Added to the seed for noise after the start's",
    ),
  };
}

/** What the fields say; `read` gives the value of one, `anySeed` a seed where the request leaves it open. */
export function readTextRequest(
  read: <T>(name: string, field: RequestField<T>) => T,
  { maxSide, anySeed }: { maxSide: number; anySeed: () => number },
): TextRequest {
  const table = textFields({ maxSide });
  const syntax = read("prompt_syntax", table.prompt_syntax), emphasis = read("emphasis", table.emphasis);
  const clipSkip = read("clip_skip", table.clip_skip);
  const subseed = read("subseed", table.subseed), strength = read("subseed_strength", table.subseed_strength);
  const [width, height] = [
    read("seed_resize_from_w", table.seed_resize_from_w),
    read("seed_resize_from_h", table.seed_resize_from_h),
  ];
  const seedDelta = read("eta_noise_seed_delta", table.eta_noise_seed_delta);
  if (width > 0 !== height > 0) {
    const [given, missing] = width > 0 ? ["w", "h"] : ["h", "w"];
    throw new ConflictError(
      `seed_resize_from_${missing}`,
      `Field seed_resize_from_${missing} is missing beside seed_resize_from_${given}, both or neither would do`,
    );
  }
  for (const [name, side] of Object.entries({ seed_resize_from_w: width, seed_resize_from_h: height })) {
    if (side > 0 && side < 8) throw new RequestError(name, `Field ${name} is ${side}, 8 or more would do`);
  }
  return {
    ...(syntax !== "a1111" && { promptSyntax: syntax }),
    ...(emphasis !== "original" && { emphasis }),
    ...(clipSkip > 1 && { clipSkip }),
    ...(strength > 0 && { subseed: subseed === -1 ? anySeed() : subseed, subseedStrength: strength }),
    ...(width > 0 && { seedResizeFrom: { width, height } }),
    ...(seedDelta > 0 && { seedDelta }),
  };
}

/** A1111's names of what weights do. */
export const emphasisLabels: Readonly<Record<Emphasis, string>> = {
  original: "Original",
  no_norm: "No norm",
  ignore: "Ignore",
  none: "None",
};
