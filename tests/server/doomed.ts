/** Loaded before the programme: its engine is one that starts once and never again, and time passes twenty times faster. */
import type { ToWorker } from "../../src/engine/protocol.ts";

globalThis.Worker = class extends Worker {
  readonly #isEngine: boolean;

  constructor(module: string | URL, options?: WorkerOptions) {
    const isEngine = `${module}`.endsWith("/src/engine/worker.ts");
    super(isEngine ? new URL("../engine/scripted_worker.ts", import.meta.url) : module, options);
    this.#isEngine = isEngine;
  }

  override postMessage(message: ToWorker, transfer?: Transferable[] | StructuredSerializeOptions): void {
    const isStart = this.#isEngine && message.type === "start";
    const sent = isStart ? { ...message, options: { ...message.options, model: "doomed" } } : message;
    super.postMessage(sent, transfer as Transferable[]);
  }
};

const { setTimeout } = globalThis;
globalThis.setTimeout = ((run: () => void, ms = 0) => setTimeout(run, ms / 20)) as typeof setTimeout;
