/** The whole programme: options, the engine's Worker, the server. */
import { hostBytes } from "./src/engine/budget.ts";
import { createEngine } from "./src/engine/client.ts";
import { type EmbeddingEntry, listEmbeddings } from "./src/engine/embeddings.ts";
import { weightsIdentity } from "./src/engine/identity.ts";
import { embeddingFolders, listModels, locateModel, ModelNotFoundError, whyNoModel } from "./src/engine/locate.ts";
import { readTunings, tuningPath } from "./src/engine/tuning.ts";
import { PictureReader } from "./src/image/read.ts";
import { createApp } from "./src/server/app.ts";
import { announce } from "./src/server/banner.ts";
import { Batching } from "./src/server/batching.ts";
import { Counts } from "./src/server/counts.ts";
import { KeyRing } from "./src/server/keys.ts";
import { Log } from "./src/server/log.ts";
import { help, parseOptions, type ServerOptions, UsageError, variables } from "./src/server/options.ts";
import { Queue } from "./src/server/queue.ts";
import { RateLimit } from "./src/server/rate.ts";
import { RemotePictures } from "./src/server/remote.ts";
import { UploadReader } from "./src/server/upload.ts";

/** How long slow clients may take to fetch their pictures once the last job is done. */
const farewellMs = 10_000;
/** Within so many milliseconds a second signal is the first one again: `deno task` passes on what its whole group was sent. */
const echoMs = 250;

const options = readOptions();
const log = new Log({ format: options.logFormat, level: options.logLevel });
const model = findModel(options);
const { modelsDir, embeddingsDir, memoryBudget: budget, keepAlive, gpuTimeout, precision } = options;
const engine = createEngine({
  model,
  vae: options.vae,
  gpu: options.gpu,
  tunings: readTunings(tuningPath, (line) => log.warn(line)),
  precision: precision === "auto" ? undefined : precision,
  budget,
  hostBytes: hostBytes(),
  keepAlive,
  gpuTimeout,
  homes: { modelsDir, embeddingsDir },
  log: (line) => log.warn(line),
  gaveUp,
});
const batching = new Batching({ most: options.batch });
const queue = new Queue({ capacity: options.queue, sharing: batching });
const pictures = new PictureReader(), uploads = new UploadReader();
const counts = new Counts();
/** Has jobs given up that are not done in time once the server stops. */
const stopping = new AbortController();
/** What is known of files that may be models or embeddings, so that a listing opens none twice. */
const headers = new Map<string, boolean>(), words = new Map<string, EmbeddingEntry | undefined>();
const app = createApp(engine, {
  queue,
  batching,
  uploads,
  pictures,
  keys: new KeyRing(options.apiKeys),
  rate: options.rateLimit === undefined ? undefined : new RateLimit({ perMinute: options.rateLimit }),
  origins: options.corsOrigins,
  openMetrics: options.openMetrics,
  publicUrl: options.publicUrl,
  weights: weightsIdentity([model, ...(options.vae ? [options.vae] : []), ...embeddingFolders(model, options)]),
  models: () => listModels(options, headers),
  whyNoModel: (name) => whyNoModel(name, options),
  counts,
  log,
  logPrompts: options.logPrompts,
  stopping: stopping.signal,
  remote: options.allowImageUrls ? new RemotePictures() : undefined,
  embeddings: () => listEmbeddings(embeddingFolders(model, options), words),
});
/** When it began to stop, on the clock of `performance`. */
let stoppedAt = Infinity;
const server = listen();
counts.watchLoop();
if (!options.allowImageUrls) Deno.permissions.revokeSync({ name: "net" }); // it listens: nothing here needs to reach anything
for (const signal of Deno.build.os === "windows" ? ["SIGINT"] as const : ["SIGTERM", "SIGINT"] as const) {
  Deno.addSignalListener(signal, stop);
}

try {
  const info = await engine.ready;
  if (info.adapter.software && options.requireGpu) {
    fail(
      `Cannot serve on ${info.adapter.name}: it is a software adapter and REQUIRE_GPU=1, a GPU with its driver would do`,
    );
  }
  announce(log, { info, memory: engine.memory, url: addressOf(server.addr) });
  // What is hostile is refused as fast the first time as later.
  uploads.start();
  pictures.start().catch(({ message }) => log.warn(`Pictures to start from cannot be read: ${message}`));
} catch (error) {
  if (!queue.draining) fail(`Cannot serve: ${error instanceof Error ? error.message : error}`);
}

function readOptions(): ServerOptions {
  try {
    const options = parseOptions(Deno.args, Object.fromEntries(variables.map((name) => [name, Deno.env.get(name)])));
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
    if (error instanceof ModelNotFoundError) fail(error.message);
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
    fail(`Cannot listen on ${hostname}:${port}: ${reason}`);
  }
}

/** What to type to reach it from this machine. */
function addressOf({ hostname, port }: Deno.NetAddr): string {
  const host = ["0.0.0.0", "::"].includes(hostname) ? "localhost" : hostname;
  return `http://${host.includes(":") ? `[${host}]` : host}:${port}`;
}

/**
 * Finishes the jobs that were accepted, or has them cancelled when that takes too long, refuses new ones and ends; asked a
 * second time, ends at once.
 */
async function stop(): Promise<void> {
  if (queue.draining) {
    if (performance.now() - stoppedAt < echoMs) return;
    Deno.exit(1);
  }
  log.info(`Stopping once ${queue.length} accepted jobs are done; a second signal stops at once`);
  await end(0);
}

/** The engine served and never will again: ends with a failure, so that what runs this starts it anew. */
async function gaveUp(): Promise<void> {
  if (queue.draining) return;
  log.error("Stopping with a failure, since no picture can be made any more; starting it again would do");
  await end(1);
}

/** Answers what was accepted, and ends. */
async function end(code: number): Promise<never> {
  stoppedAt = performance.now();
  const drained = queue.drain();
  if (!await within(options.drainTimeout, drained)) {
    log.warn(`Cancelling ${queue.length} jobs that were not done in time, a longer --drain-timeout would do`);
    stopping.abort();
    await within(farewellMs, drained);
  }
  await within(farewellMs, server.shutdown());
  engine.close();
  log.info("Stopped");
  Deno.exit(code);
}

/** Whether `promise` has resolved after so many milliseconds at the most. */
async function within(ms: number, promise: Promise<void>): Promise<boolean> {
  if (ms === Infinity) return await promise.then(() => true);
  const late = new Promise<boolean>((resolve) => setTimeout(() => resolve(false), ms));
  return await Promise.race([promise.then(() => true), late]);
}

/** Ends before anything is served; 2 stands for what was asked wrongly, as with other commands. */
function fail(message: string, code = 1): never {
  console.error(message);
  Deno.exit(code);
}
