/** Calls `start` with Workers that fail as soon as they run; resolves once the one that it starts has. */
export async function startInVain(start: () => unknown): Promise<void> {
  const { Worker } = globalThis, { promise: failed, resolve: fail } = Promise.withResolvers<void>();
  globalThis.Worker = class extends Worker {
    constructor(_module: string | URL, options?: WorkerOptions) {
      super("data:text/javascript,throw new Error('It cannot run')", options);
      this.addEventListener("error", () => fail());
    }
  };
  try {
    await start();
    await failed;
  } finally {
    globalThis.Worker = Worker;
  }
}
