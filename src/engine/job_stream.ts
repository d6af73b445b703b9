/** One job's events on their way to its reader: each once, however often the job is begun, but for the times of stages. */
import type { JobEvent } from "./protocol.ts";
import type { GenerateRequest } from "./request.ts";

/** What happens to a job that does not fail: started, step…, rows…, done. */
export type JobProgress = Exclude<JobEvent, { type: "again" | "deferred" | "parted" | "cancelled" | "failed" }>;

/** A job that was given to the engine. */
export interface GivenJob {
  events: ReadableStream<JobProgress>;
  /** Whether it began, or ended: where others began without it, there are no events, and it is to be given again. */
  begun: Promise<boolean>;
}

export class JobStream implements GivenJob {
  readonly events: ReadableStream<JobProgress>;
  readonly begun: Promise<boolean>;
  /** Whether it was running when a device or a Worker failed. */
  interrupted = false;
  /** Those that are handed to the Worker at once, this one among them. */
  run: readonly JobStream[] = [this];
  readonly #begin: (begun: boolean) => void;
  #controller!: ReadableStreamDefaultController<JobProgress>;
  /** Whether the reader cancelled the stream. */
  #left = false;
  /** How far the reader has been told. */
  #started = false;
  #step = 0;
  /** The step and image of the next preview, and the image and row of the next rows, at the least. */
  #preview: Place = [0, 0];
  #rows: Place = [0, 0];
  readonly #gaveUp: () => void;

  /** `gaveUp` is called when the signal fires and when the stream is cancelled. */
  constructor(
    readonly id: string,
    readonly request: GenerateRequest,
    readonly signal: AbortSignal,
    gaveUp: (job: JobStream) => void,
  ) {
    this.#gaveUp = () => gaveUp(this);
    ({ promise: this.begun, resolve: this.#begin } = Promise.withResolvers());
    this.events = new ReadableStream({
      start: (controller) => void (this.#controller = controller),
      cancel: () => {
        this.#left = true;
        this.#gaveUp();
      },
    }, { highWaterMark: Infinity });
    signal.addEventListener("abort", this.#gaveUp, { once: true });
  }

  /** Whether somebody still waits for it. */
  get isWanted(): boolean {
    return !this.#left && !this.signal.aborted;
  }

  /** Passes an event on, unless it was told before: the seed is fixed, so what is made anew is the same. */
  tell(event: JobProgress): void {
    this.#begin(true);
    if (this.#advance(event) && !this.#left) this.#controller.enqueue(event);
  }

  /** Ends the stream, with an error where there is one. */
  end(error?: unknown): void {
    this.#begin(true);
    this.signal.removeEventListener("abort", this.#gaveUp);
    if (this.#left) return;
    if (error === undefined) this.#controller.close();
    else this.#controller.error(error);
  }

  /** Ends the stream of a job that has not begun. */
  defer(): void {
    this.#begin(false);
    this.end();
  }

  #advance(event: JobProgress): boolean {
    switch (event.type) {
      case "started":
        return !this.#started && (this.#started = true);
      case "step":
        if (event.step <= this.#step) return false;
        this.#step = event.step;
        return true;
      case "preview":
        if (isBefore([event.step, event.image], this.#preview)) return false;
        this.#preview = [event.step, event.image + 1];
        return true;
      case "rows":
        if (isBefore([event.image, event.top], this.#rows)) return false;
        this.#rows = [event.image, event.top + event.rows];
        return true;
      case "stage": // it took its time, whichever time it was
      case "done":
        return true;
      default:
        return event satisfies never;
    }
  }
}

type Place = readonly [number, number];

function isBefore(a: Place, b: Place): boolean {
  return a[0] < b[0] || a[0] === b[0] && a[1] < b[1];
}
