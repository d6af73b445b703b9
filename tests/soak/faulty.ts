/** Loaded before the programme: its Worker is one whose device is lost whenever the process gets SIGUSR2. */
Deno.addSignalListener("SIGUSR2", () => new BroadcastChannel("faults").postMessage("lose"));

globalThis.Worker = class extends Worker {
  constructor(module: string | URL, options?: WorkerOptions) {
    const isEngine = `${module}`.endsWith("/src/engine/worker.ts");
    super(isEngine ? new URL("../engine/faulty_worker.ts", import.meta.url) : module, options);
  }
};
