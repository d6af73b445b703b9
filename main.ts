/** The whole programme: options, the engine's Worker, the server. */
import { hostBytes } from "./src/engine/budget.ts";
import { createEngine } from "./src/engine/client.ts";
import { weightsIdentity } from "./src/engine/identity.ts";
import { embeddingFolders, listModels, locateModel, ModelNotFoundError } from "./src/engine/locate.ts";
import type { EngineInfo } from "./src/engine/protocol.ts";
import { PictureReader } from "./src/image/read.ts";
import { createApp } from "./src/server/app.ts";
import { help, parseOptions, type ServerOptions, UsageError } from "./src/server/options.ts";
import { KeyRing } from "./src/server/keys.ts";
import { Queue } from "./src/server/queue.ts";
import { RateLimit } from "./src/server/rate.ts";
import { UploadReader } from "./src/server/upload.ts";

/** How long slow clients may take to fetch their pictures once the last job is done. */
const farewellMs = 10_000;

const options = readOptions();
const model = findModel(options);
const { modelsDir, embeddingsDir, memoryBudget: budget, keepAlive } = options;
const engine = createEngine({
  model,
  vae: options.vae,
  gpu: options.gpu,
  budget,
  hostBytes: hostBytes(),
  keepAlive,
  homes: { modelsDir, embeddingsDir },
  log: console.error,
});
const queue = new Queue({ capacity: options.queue });
const pictures = new PictureReader();
/** What is known of files that may be models, so that a listing opens none twice. */
const headers = new Map<string, boolean>();
const app = createApp(engine, {
  queue,
  uploads: new UploadReader(),
  pictures,
  keys: new KeyRing(options.apiKeys),
  rate: options.rateLimit === undefined ? undefined : new RateLimit({ perMinute: options.rateLimit }),
  origins: options.corsOrigins,
  openMetrics: options.openMetrics,
  weights: weightsIdentity([model, ...(options.vae ? [options.vae] : []), ...embeddingFolders(model, options)]),
  models: () => listModels(options, headers),
});
const server = listen();
for (const signal of ["SIGTERM", "SIGINT"] as const) Deno.addSignalListener(signal, stop);

try {
  announce(await engine.ready);
} catch (error) {
  if (!queue.draining) fail(`Cannot serve: ${error instanceof Error ? error.message : error}`, 1);
}

function readOptions(): ServerOptions {
  try {
    const options = parseOptions(Deno.args, Deno.env.toObject());
    if (options) return options;
    console.log(help);
    Deno.exit(0);
  } catch (error) {
    if (error instanceof UsageError) fail(error.message, 2);
    throw error;
  }
}

function findModel({ model, modelsDir }: ServerOptions): string {
  try {
    return locateModel(model, { modelsDir });
  } catch (error) {
    if (error instanceof ModelNotFoundError) fail(error.message, 1);
    throw error;
  }
}

function listen(): Deno.HttpServer<Deno.NetAddr> {
  const { host: hostname, port } = options;
  try {
    return Deno.serve({ hostname, port, onListen: () => {} }, app.fetch);
  } catch (error) {
    const reason = error instanceof Deno.errors.AddrInUse
      ? "the port is in use, another --port or ending what uses it would do"
      : `${error instanceof Error ? error.message : error}, another --host or --port would do`;
    fail(`Cannot listen on ${hostname}:${port}: ${reason}`, 1);
  }
}

function announce({ model, adapter, precision, timing }: EngineInfo): void {
  if (adapter.software && options.requireGpu) {
    fail(
      `Cannot serve on ${adapter.name}: it is a software adapter and REQUIRE_GPU=1, a GPU with its driver would do`,
      1,
    );
  }
  const { hostname, port } = server.addr;
  const seconds = (Object.values(timing).reduce((sum, ms) => sum + ms, 0) / 1000).toFixed(1);
  const address = `${hostname.includes(":") ? `[${hostname}]` : hostname}:${port}`;
  console.log(
    `Serving ${model.name} in ${precision} on ${adapter.name} (${adapter.backend}) at http://${address}, ready in ${seconds} s`,
  );
  if (adapter.software) console.log("WARNING: this adapter is software and slow; REQUIRE_GPU=1 refuses it");
  console.log(
    `Try: curl -G '${address}/generate' --data-urlencode 'prompt=a red circle on a blue background' -o out.png`,
  );
}

/** Finishes the jobs that were accepted, refuses new ones and ends; asked a second time, ends at once. */
async function stop(): Promise<void> {
  if (queue.draining) Deno.exit(1);
  console.error(`Stopping once ${queue.length} accepted jobs are done; a second signal stops at once`);
  await queue.drain();
  await Promise.race([server.shutdown(), new Promise((resolve) => setTimeout(resolve, farewellMs))]);
  engine.close();
  Deno.exit(0);
}

function fail(message: string, code: number): never {
  console.error(message);
  Deno.exit(code);
}
