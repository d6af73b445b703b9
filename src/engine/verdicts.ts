/** What a model can run on its device, and why not what it cannot: worked out once for each size and length, and remembered. */
import type { CanvasSize } from "./canvas.ts";
import type { PromptPlan } from "./conditioning.ts";
import { largestOfShape, type StepLength, whyTooLarge, whyTooLong } from "./limits.ts";
import type { StableDiffusion } from "./model.ts";
import { RefusedError } from "./refused.ts";

/** What the text encoder reads for a pass. */
export interface Prompts {
  conditional: PromptPlan;
  unconditional: PromptPlan;
}

/** What prompts have to have in common to be read in one batch: lengths, and how they are composed. */
export function shapeOf({ conditional, unconditional }: Prompts): string {
  return JSON.stringify([
    conditional.parts.map(({ weight }) => weight),
    chunksOf(conditional),
    chunksOf(unconditional),
  ]);
}

/** Chunks of a prompt's longest part. */
function chunksOf({ parts }: PromptPlan): number {
  return Math.max(...parts.map(({ schedule }) => schedule[0].chunks.length));
}

/** A pass of a request: the size of its pictures, what its steps are told, and whether hidden states are kept between them. */
export interface Pass {
  size: Omit<CanvasSize, "images">;
  prompts: Prompts;
  cached: boolean;
}

/** Sizes whose verdict is kept. */
const rememberedSizes = 1000;

export class Verdicts {
  /** Why what was asked about so far cannot be run, or undefined where it can: recording its plans takes some 50 ms. */
  readonly #known = new Map<string, string | undefined>();

  constructor(readonly model: StableDiffusion) {}

  /** How many of `n` pictures are made at once: all, or as many as there is room for in every pass. */
  together(n: number, passes: readonly Pass[]): number {
    for (let images = n; images > 1; images = Math.ceil(images / 2)) {
      const isRoom = passes.every((pass) => {
        const size = { ...pass.size, images };
        return !this.#whyTooLarge(size) && !this.#whyTooLong(size, this.#lengthOf(pass));
      });
      if (isRoom) return images;
    }
    return 1;
  }

  /** @throws {RefusedError} when a picture of this size cannot be made, saying why and which size could be. */
  checkSize(height: number, width: number): void {
    const tooLarge = this.#whyTooLarge({ images: 1, height, width });
    if (!tooLarge) return;
    const most = largestOfShape(this.model, height, width);
    const would = most ? `${most.width}x${most.height} would do` : "a larger MEMORY_BUDGET would do";
    throw new RefusedError(`Cannot make a picture of ${width}x${height}: ${tooLarge}, ${would}`);
  }

  /** @throws {RefusedError} when the steps of a pass cannot be run even for one picture, naming the field that is at fault. */
  checkSteps(pass: Pass): void {
    const { width, height, tokenMerging } = pass.size, size = { ...pass.size, images: 1 };
    const length = this.#lengthOf(pass), uncached = { ...length, cached: false };
    const tooLong = this.#whyTooLong({ ...size, tokenMerging: undefined }, uncached);
    if (tooLong) {
      const field = this.#tokensOf(pass.prompts.conditional) === length.tokens ? "prompt" : "negative_prompt";
      const message = `Cannot read a ${field} of ${length.tokens} tokens: ${tooLong}, a shorter one would do`;
      throw new RefusedError(message, { field });
    }
    const notMerged = tokenMerging && this.#whyTooLong(size, uncached);
    if (notMerged) {
      const message = `Cannot merge tokens at ${width}x${height}: ${notMerged}, a token_merging_ratio of 0 would do`;
      throw new RefusedError(message, { field: "token_merging_ratio" });
    }
    const notKept = pass.cached && this.#whyTooLong(size, length);
    if (notKept) {
      const message = `Cannot keep a step_cache at ${width}x${height}: ${notKept}, a step_cache of 1 would do`;
      throw new RefusedError(message, { field: "step_cache" });
    }
  }

  /** Forgets all of them: the device's budget is another now. */
  forget(): void {
    this.#known.clear();
  }

  /** The most tokens and calls of the U-Net that a step of a pass may take. */
  #lengthOf({ prompts: { conditional, unconditional }, cached }: Pass): StepLength {
    const [tokens, negative] = [conditional, unconditional].map((plan) => this.#tokensOf(plan));
    const inParts = conditional.parts.length > 1 || tokens !== negative;
    return { tokens: Math.max(tokens, negative), parts: inParts ? conditional.parts.length + 1 : 0, cached };
  }

  /** Tokens of a prompt's longest part. */
  #tokensOf(plan: PromptPlan): number {
    return this.#chunk * chunksOf(plan);
  }

  /** Tokens that the text encoder reads at once. */
  get #chunk(): number {
    return this.model.textEncoder.config.max_position_embeddings;
  }

  #whyTooLarge({ height, width, images }: CanvasSize): string | undefined {
    return this.#remember(`${height} ${width} ${images}`, () => whyTooLarge(this.model, height, width, images));
  }

  /** Why the steps of pictures whose size will do cannot be run. */
  #whyTooLong(size: CanvasSize, length: StepLength): string | undefined {
    if (length.tokens === this.#chunk && !length.cached && !size.tokenMerging) return undefined; // as their size has them
    const { height, width, images, tiling, tokenMerging } = size, { tokens, parts, cached } = length;
    const key = [height, width, images, tiling, tokenMerging, tokens, parts, cached].join();
    return this.#remember(key, () => whyTooLong(this.model, size, length));
  }

  #remember(key: string, verdict: () => string | undefined): string | undefined {
    if (!this.#known.has(key)) {
      if (this.#known.size >= rememberedSizes) this.#known.clear();
      this.#known.set(key, verdict());
    }
    return this.#known.get(key);
  }
}
