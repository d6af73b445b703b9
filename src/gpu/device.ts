/** The one place that asks for an adapter: which GPU, what it can do, and how its errors become ours. */
import { createHash } from "node:crypto";
import { GpuClock } from "./clock.ts";
import { prepareDrivers } from "./drivers.ts";
import { DeviceLostError, GpuOutOfMemoryError, GpuValidationError } from "./errors.ts";
import { compile, type Constants, type Kernel, type Pipeline } from "./kernel.ts";
import { Memory } from "./memory.ts";

/** Where matmul weights live: storage textures load 2 to 4 times faster on a software driver, buffers on GPUs. */
export type WeightStorage = "buffer" | "texture";

/** How kernels work on a device. */
export interface Way {
  /** Together by subgroups, or through workgroup memory. */
  subgroups: boolean;
  weightStorage: WeightStorage;
}

/** What to open and, for tests, parity and measuring, which way to go. */
export interface DeviceOptions {
  /** An adapter's index or part of its name; Deno offers one adapter a power preference, so 0 and 1. */
  gpu?: string;
  /** Whether to take the kernels with subgroup operations where the size is fixed: on software drivers, unless said. */
  subgroups?: boolean;
  weightStorage?: WeightStorage;
  /** The way of an adapter, where it is known. */
  wayOf?: (adapter: AdapterIdentity) => Way | undefined;
}

/** What an adapter is known by. */
export interface AdapterIdentity {
  /** For people. */
  name: string;
  /** Of all that WebGPU tells of it, which with another driver or backend is often something else. */
  fingerprint: string;
}

/** Features that Deno's adapters do not list and requestDevice nevertheless grants. */
const hiddenFeatures = ["subgroups"] as const;

/** Limits raised to what the adapter has; all others stay at WebGPU's defaults. */
const raisedLimits = [
  "maxStorageBufferBindingSize",
  "maxBufferSize",
  "maxComputeInvocationsPerWorkgroup",
  "maxComputeWorkgroupSizeX",
  "maxComputeWorkgroupStorageSize",
  "maxStorageBuffersPerShaderStage",
  "maxTextureDimension2D",
] as const;

/** What WebGPU runs on; it does not say which of two it took. */
const backends: Readonly<Record<string, string>> = { darwin: "Metal", windows: "Vulkan or Direct3D 12" };

/** A GPU and everything compiled for it. */
export class Device implements Disposable {
  /** Pipelines by kernel name and constants. */
  readonly #pipelines = new Map<string, Pipeline>();
  #lost?: DeviceLostError;
  #uncaptured?: Error;

  /** Resolves, never rejects, when the device is gone. */
  readonly lost: Promise<DeviceLostError>;
  /** Where all buffers and textures come from and end. */
  readonly memory: Memory;
  /** Times what plans run, where the device can. */
  readonly clock?: GpuClock;

  constructor(
    readonly gpu: GPUDevice,
    readonly adapter: AdapterIdentity,
    readonly backend: string,
    /** Runs on the CPU: correct, slow, and to be said loudly. */
    readonly software: boolean,
    /** Lanes of a subgroup where every subgroup has that many; 0 where it varies or is not offered. */
    readonly subgroupSize: number,
    readonly weightStorage: WeightStorage,
  ) {
    this.memory = new Memory(gpu, (error) => this.#fail(error));
    if (this.timestamps) this.clock = new GpuClock(this);
    this.lost = gpu.lost.then((info) => {
      this.#lost ??= new DeviceLostError(
        `The GPU device was lost (${info.reason}): ${info.message || "no reason given"}`,
      );
      return this.#lost;
    });
    gpu.addEventListener("uncapturederror", (event) => {
      event.preventDefault();
      this.#fail(this.#typed((event as GPUUncapturedErrorEvent).error));
    });
  }

  /** What the adapter is called. */
  get name(): string {
    return this.adapter.name;
  }

  /** Whether activations and weights may be stored as f16. */
  get f16(): boolean {
    return this.gpu.features.has("shader-f16");
  }

  /** Whether passes can be timed. */
  get timestamps(): boolean {
    return this.gpu.features.has("timestamp-query");
  }

  /** Bytes of the largest buffer that a kernel can see whole. */
  get maxBinding(): number {
    return Math.min(this.gpu.limits.maxStorageBufferBindingSize, this.gpu.limits.maxBufferSize);
  }

  /** Whether it is gone; {@link lost} says why. */
  get isLost(): boolean {
    return this.#lost !== undefined;
  }

  /** Throws what went wrong since the last call, if anything did: WebGPU reports errors late and out of line. */
  throwIfFailed(): void {
    if (this.#lost) throw this.#lost;
    const error = this.#uncaptured;
    this.#uncaptured = undefined;
    if (error) throw error;
  }

  /** Waits until everything submitted has run. Blocks Deno's event loop meanwhile: Worker only. */
  async idle(): Promise<void> {
    await this.gpu.queue.onSubmittedWorkDone();
    this.throwIfFailed();
  }

  /** The pipeline of a kernel with these constants, compiled once. */
  pipeline(kernel: Kernel, constants: Constants = {}): Pipeline {
    const key = kernel.key(constants);
    let pipeline = this.#pipelines.get(key);
    if (!pipeline) this.#pipelines.set(key, pipeline = compile(this, kernel, constants));
    return pipeline;
  }

  /** How many pipelines have been compiled. */
  get pipelineCount(): number {
    return this.#pipelines.size;
  }

  /** Keeps the first error, which others follow from; what could not be allocated is always one. */
  #fail(error: Error): void {
    const isCause = error instanceof GpuOutOfMemoryError && !(this.#uncaptured instanceof GpuOutOfMemoryError);
    if (!this.#uncaptured || isCause) this.#uncaptured = error;
  }

  #typed(error: GPUError): Error {
    const first = error.message.split("\n\n")[0].trim();
    if (error instanceof GPUOutOfMemoryError) return new GpuOutOfMemoryError(first, this.memory.used);
    return new GpuValidationError(first);
  }

  [Symbol.dispose](): void {
    this.#pipelines.clear();
    this.gpu.destroy();
  }
}

/** A sentence for people without an adapter. */
const noAdapter = "No GPU adapter was found: install a Vulkan driver (on Debian or Ubuntu " +
  "`apt-get install libvulkan1 mesa-vulkan-drivers`, which also brings a software one), or check that the GPU is visible here";

/**
 * Opens the adapter that `gpu` names, or the most capable one.
 * @throws {Error} when there is no adapter, or none of that name; the message lists those found.
 */
export async function openDevice(options: DeviceOptions = {}): Promise<Device> {
  prepareDrivers();
  const adapter = await chooseAdapter(options.gpu);
  const features: string[] = (["shader-f16", "timestamp-query"] as const).filter((name) => adapter.features.has(name));
  const requiredLimits = Object.fromEntries(raisedLimits.map((name) => [name, adapter.limits[name]]));
  const request = (requiredFeatures: string[]) =>
    adapter.requestDevice({ requiredFeatures: requiredFeatures as GPUFeatureName[], requiredLimits });
  let gpu: GPUDevice;
  try {
    gpu = await request([...features, ...hiddenFeatures]);
  } catch { // the driver has no subgroups
    gpu = await request(features);
  }
  const { subgroupMinSize, subgroupMaxSize } = adapter.info;
  const software = isSoftware(adapter), identity = identityOf(adapter);
  // Shuffle kernels suit a processor's vectors; GPUs have fast workgroup memory, and few registers for unrolled tiles.
  const way = options.wayOf?.(identity), wanted = options.subgroups ?? way?.subgroups ?? software;
  const fixed = wanted && gpu.features.has("subgroups") && subgroupMinSize === subgroupMaxSize;
  return new Device(
    gpu,
    identity,
    backends[Deno.build.os] ?? "Vulkan",
    software,
    fixed ? subgroupMinSize : 0,
    options.weightStorage ?? way?.weightStorage ?? (software && fixed ? "texture" : "buffer"),
  );
}

async function chooseAdapter(wanted?: string): Promise<GPUAdapter> {
  const found: GPUAdapter[] = [];
  for (const powerPreference of ["high-performance", "low-power"] as const) {
    const adapter = await navigator.gpu?.requestAdapter({ powerPreference });
    if (adapter && !found.some((other) => adapterName(other) === adapterName(adapter))) found.push(adapter);
  }
  if (found.length === 0) throw new Error(noAdapter);
  if (wanted === undefined || wanted === "") return found[0];
  const chosen = /^\d+$/.test(wanted)
    ? found[Number(wanted)]
    : found.find((adapter) => adapterName(adapter).toLowerCase().includes(wanted.toLowerCase()));
  if (chosen) return chosen;
  const list = found.map((adapter, index) => `${index} "${adapterName(adapter)}"`).join(", ");
  throw new Error(`No GPU matches "${wanted}": found ${list}`);
}

function adapterName(adapter: Pick<GPUAdapter, "info">): string {
  return adapter.info.description || adapter.info.device || adapter.info.vendor || "unnamed adapter";
}

/** There is no driver's version in what WebGPU tells: a new one shows where its features or limits are others. */
export function identityOf(adapter: Pick<GPUAdapter, "info" | "features" | "limits">): AdapterIdentity {
  const told = [attributes(adapter.info), [...adapter.features].sort(), attributes(adapter.limits)];
  const fingerprint = createHash("sha256").update(JSON.stringify(told)).digest("base64url").slice(0, 16);
  return { name: adapterName(adapter), fingerprint };
}

/** The attributes of an object of WebGPU, which its class has and not itself. */
function attributes(object: object): [name: string, value: unknown][] {
  const found: [string, unknown][] = [];
  for (const name in object) found.push([name, object[name as keyof typeof object]]);
  return found;
}

function isSoftware(adapter: GPUAdapter): boolean {
  return adapter.info.isFallbackAdapter === true ||
    /llvmpipe|lavapipe|swiftshader|software|basic render/i.test(adapterName(adapter));
}
