/** A Worker that waits for a GPU which never answers says nothing any more: how long that may be, and when it has been longer. */
import type { EngineInfo } from "./protocol.ts";
import type { GenerateRequest } from "./request.ts";

/** How many times longer than the slowest step a silence may be: decoding takes longer than one, and so does compiling. */
const slack = 10;
/** A timer that is so late, in milliseconds, says that this thread stood still, and the Worker's perhaps with it. */
const lateness = 1000;

type Sized = Pick<GenerateRequest, "width" | "height" | "n" | "hires">;

/** Pixels of the largest step of a request, all pictures of a batch together. */
function pixelsOf({ width, height, n = 1, hires }: Sized): number {
  return n * Math.max(width * height, hires ? hires.width * hires.height : 0);
}

/** How long steps take: of the largest pictures so far the slowest. */
export class Pace {
  readonly #floorMs: number;
  /** What starting took, as long as no step has been measured. */
  #guess = { pixels: 1, ms: 0 };
  #slowest?: { pixels: number; ms: number };

  /** `floorMs` is granted however fast steps are. */
  constructor(floorMs: number) {
    this.#floorMs = floorMs;
  }

  /** The engine has started; its warming up ran every stage once. */
  started({ timing, model: { defaults } }: Pick<EngineInfo, "timing" | "model">): void {
    this.#guess = { pixels: pixelsOf(defaults), ms: timing.warm ?? 0 };
  }

  step(request: Sized, ms: number): void {
    const pixels = pixelsOf(request);
    if (!this.#slowest || pixels > this.#slowest.pixels) this.#slowest = { pixels, ms };
    else this.#slowest.ms = Math.max(this.#slowest.ms, ms);
  }

  /** Milliseconds that may pass without news of a request's job: attention takes the square of the pixels. */
  allowance(request: Sized): number {
    const { pixels, ms } = this.#slowest ?? this.#guess, growth = Math.max(1, pixelsOf(request) / pixels);
    return Math.max(this.#floorMs, slack * ms * growth ** 2);
  }

  /** Milliseconds without news that a start may take: where one took `ms` before ten times that, else ten times the floor. */
  startAllowance(ms: number = this.#floorMs): number {
    return Math.max(this.#floorMs, slack * ms);
  }
}

/** Timers of more milliseconds fire at once: so long is for ever. */
const longestTimer = 2 ** 31 - 1;

/** Calls `bite` once nothing has been heard for as long as was expected. */
export class Watchdog {
  readonly #bite: (ms: number) => void;
  #timer?: ReturnType<typeof setTimeout>;

  constructor(bite: (ms: number) => void) {
    this.#bite = bite;
  }

  /** Something is to be heard within `ms` milliseconds from now. */
  expect(ms: number): void {
    this.rest();
    if (ms > longestTimer) return;
    const due = performance.now() + ms;
    this.#timer = setTimeout(() => {
      if (performance.now() > due + lateness) this.expect(ms);
      else this.#bite(ms);
    }, ms);
  }

  /** Nothing is expected. */
  rest(): void {
    clearTimeout(this.#timer);
  }
}
