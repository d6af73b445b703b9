/** A frozen graph: pipelines, bind groups and dispatch sizes in a flat list, replayed without allocation. */
import type { Device } from "../gpu/device.ts";
import { type Pipeline, writeShape } from "../gpu/kernel.ts";
import type { MemoryKind } from "../gpu/memory.ts";
import { readBuffer } from "../gpu/buffer.ts";
import type { Timings } from "../gpu/timing.ts";
import { fuse } from "./fuse.ts";
import { type Graph, type Operand, rowsOf, type Storage, Value, vec4s } from "./graph.ts";
import { moveSteady } from "./steady.ts";
import { assignSlots, assignTextures, lifetimes } from "./slots.ts";
import { createTexture, encodeCopies, textureBytes, textureCopies, type TextureCopy } from "./textures.ts";

/** One dispatch, ready to encode. */
export interface Launch {
  label: string;
  /** Multiplications and additions, 0 where memory takes the time. */
  flops: number;
  /** Bytes of the values it reads and writes, each counted once. */
  bytes: number;
  /** What is copied to textures before it. */
  copies: readonly TextureCopy[];
  pipeline: GPUComputePipeline;
  bindGroup: GPUBindGroup;
  workgroups: readonly [number, number, number];
}

/** Dispatches of one pipeline over as many workgroups take about as long: timings put them in one row. */
export function launchKey({ label, workgroups }: Launch): string {
  return `${label} ${workgroups.join("×")}`;
}

/** Memory of a plan, in bytes. */
export interface PlanReport {
  dispatches: number;
  slots: number;
  /** What the slots take, textures among them. */
  slotBytes: number;
  /** What the same values would take without sharing. */
  unsharedBytes: number;
  /** Named values that this plan allocated. */
  namedBytes: number;
}

const { STORAGE, COPY_SRC, COPY_DST, UNIFORM } = GPUBufferUsage;

/** Bytes from one dispatch's Shape to the next: the alignment that every device allows. */
const shapesStride = 256;

/** A buffer for a value that plans share: pass it to {@link freeze} under the value's name. */
export function createStorage(device: Device, label: string, bytes: number, kind: MemoryKind = "named"): GPUBuffer {
  if (bytes > device.maxBinding) {
    throw new RangeError(`Cannot allocate ${label}: ${bytes} bytes, and this GPU binds ${device.maxBinding} at most`);
  }
  return device.memory.buffer(kind, { label, size: Math.max(16, bytes), usage: STORAGE | COPY_SRC | COPY_DST });
}

/** Fuses, and puts first what need not run each time. */
function prepare(graph: Graph): void {
  fuse(graph);
  moveSteady(graph);
}

/** Bytes that {@link freeze} would allocate for `graph`, where values of the names in `shared` have a buffer already. */
export function planBytes(graph: Graph, shared: ReadonlySet<string> = new Set()): number {
  prepare(graph);
  let bytes = 16 + shapesStride * Math.max(1, graph.dispatches.length); // zeros and shapes
  for (const slot of assignSlots(graph.dispatches, graph.steady)) bytes += Math.max(16, slot.bytes);
  for (const slot of assignTextures(graph.dispatches)) bytes += textureBytes(slot.bytes);
  const named = new Set([...graph.named].filter(([name]) => !shared.has(name)).map(([, { storage }]) => storage));
  for (const storage of named) bytes += Math.max(16, storage.bytes);
  return bytes;
}

/**
 * Fuses, assigns slots, compiles and binds. `shared` holds buffers of named values that other plans use too.
 * @throws {RangeError} when a value is larger than the device can bind, naming it.
 */
export function freeze(device: Device, graph: Graph, shared: Record<string, GPUBuffer> = {}): Plan {
  prepare(graph);
  const owned: (GPUBuffer | GPUTexture)[] = [];
  try {
    return bind(device, graph, shared, owned);
  } catch (error) {
    for (const resource of owned) device.memory.free(resource);
    throw error;
  }
}

/** {@link freeze} after fusion; all memory made is added to `owned` at once. */
function bind(
  device: Device,
  graph: Graph,
  shared: Record<string, GPUBuffer>,
  owned: (GPUBuffer | GPUTexture)[],
): Plan {
  const allocate = (label: string, bytes: number, kind: MemoryKind = "named"): GPUBuffer => {
    const buffer = createStorage(device, label, bytes, kind);
    owned.push(buffer);
    return buffer;
  };
  const memory = new Map<Storage, GPUBuffer>();
  const slots = assignSlots(graph.dispatches, graph.steady);
  for (const [i, slot] of slots.entries()) {
    const buffer = allocate(`slot ${i}`, slot.bytes, "slots");
    for (const { storage } of slot.tenants) memory.set(storage, buffer);
  }
  const textures = new Map<Storage, GPUTexture>();
  const textureSlots = assignTextures(graph.dispatches);
  for (const [i, slot] of textureSlots.entries()) {
    const texture = createTexture(device, `texture slot ${i}`, slot.bytes);
    owned.push(texture);
    for (const { storage } of slot.tenants) textures.set(storage, texture);
  }
  const named = new Map<string, { value: Value; buffer: GPUBuffer }>();
  let namedBytes = 0;
  for (const [name, value] of graph.named) {
    if (!shared[name]) namedBytes += value.storage.bytes;
    const buffer = memory.get(value.storage) ?? shared[name] ?? allocate(name, value.storage.bytes);
    memory.set(value.storage, buffer);
    named.set(name, { value, buffer });
  }

  const zeros = allocate("zeros", 16);
  const resource = (operand: Operand, fromTexture: boolean): GPUBindingResource => {
    if (operand === undefined) return { buffer: zeros };
    if (operand instanceof Value && fromTexture) return textures.get(operand.storage)!.createView();
    if (operand instanceof Value) return { buffer: memory.get(operand.storage)! };
    if (!operand.resource) throw new RangeError("Cannot freeze a graph whose parameters are not loaded");
    return operand.resource;
  };
  const pipelines = graph.dispatches.map(({ kernel, constants }) => device.pipeline(kernel, constants));
  const shapes = new DataView(new ArrayBuffer(shapesStride * Math.max(1, pipelines.length)));
  const usage = UNIFORM | COPY_DST;
  const uniforms = device.memory.buffer("named", { label: "shapes", size: shapes.byteLength, usage });
  owned.push(uniforms);
  const copied = textureCopies(graph.dispatches, graph.steady);
  const launches = graph.dispatches.map((dispatch, i): Launch => {
    const pipeline: Pipeline = pipelines[i], offset = shapesStride * i;
    writeShape(pipeline, dispatch.shape, shapes, offset);
    const size = Math.ceil(Math.max(16, 4 * pipeline.fields.length) / 16) * 16;
    const entries = pipeline.bindings.map(({ index, name, layout }): GPUBindGroupEntry => {
      if (layout.buffer?.type === "uniform") return { binding: index, resource: { buffer: uniforms, offset, size } };
      if (!(name in dispatch.operands)) throw new RangeError(`${pipeline.label}: nothing is bound to "${name}"`);
      return { binding: index, resource: resource(dispatch.operands[name], dispatch.textures.includes(name)) };
    });
    const bindGroup = device.gpu.createBindGroup({ label: pipeline.label, layout: pipeline.layout, entries });
    const { workgroups, flops } = dispatch;
    const values = new Set(
      Object.values(dispatch.operands).filter((operand) => operand instanceof Value).map(({ storage }) => storage),
    );
    const bytes = [...values].reduce((sum, { bytes }) => sum + bytes, 0);
    const copies = copied[i].map((storage): TextureCopy => {
      return { source: memory.get(storage)!, target: textures.get(storage)!, bytes: storage.bytes };
    });
    return { label: pipeline.label, copies, pipeline: pipeline.pipeline, bindGroup, workgroups, flops, bytes };
  });
  device.gpu.queue.writeBuffer(uniforms, 0, shapes.buffer);
  const report: PlanReport = {
    dispatches: launches.length,
    slots: slots.length + textureSlots.length,
    slotBytes: slots.reduce((sum, slot) => sum + slot.bytes, 0) +
      textureSlots.reduce((sum, slot) => sum + textureBytes(slot.bytes), 0),
    unsharedBytes: lifetimes(graph.dispatches, graph.steady).reduce((sum, { storage }) => sum + storage.bytes, 0),
    namedBytes,
  };
  return new Plan(device, launches, { named, owned, report, steady: graph.steady });
}

export class Plan implements Disposable {
  readonly named: ReadonlyMap<string, { value: Value; buffer: GPUBuffer }>;
  readonly report: PlanReport;
  readonly #owned: (GPUBuffer | GPUTexture)[];
  /** The launches of every run: all but the first ones, which are for one after a steady input was written. */
  readonly repeated: readonly Launch[];
  #isStale = true;

  constructor(
    readonly device: Device,
    readonly launches: readonly Launch[],
    { named, owned, report, steady }: {
      named: ReadonlyMap<string, { value: Value; buffer: GPUBuffer }>;
      owned: (GPUBuffer | GPUTexture)[];
      report: PlanReport;
      steady: number;
    },
  ) {
    [this.named, this.report, this.#owned, this.repeated] = [named, report, owned, launches.slice(steady)];
  }

  /** Queues all dispatches in one submit; with `timings`, one pass each so that the GPU can time them. */
  run(timings?: Timings): void {
    const encoder = this.device.gpu.createCommandEncoder();
    if (timings) this.#runTimed(encoder, timings);
    else this.encode(encoder);
    this.device.gpu.queue.submit([encoder.finish()]);
  }

  /** Records all dispatches that are to run, for a submit that has more to do. */
  encode(encoder: GPUCommandEncoder): void {
    const launches = this.#due(), lastPass = launches.findLastIndex(({ copies }) => copies.length > 0);
    const span = this.device.clock?.next();
    let pass = encoder.beginComputePass({ timestampWrites: span?.begin({ last: lastPass < 0 }) });
    for (const [i, { copies, pipeline, bindGroup, workgroups }] of launches.entries()) {
      if (copies.length) {
        pass.end();
        encodeCopies(encoder, copies);
        pass = encoder.beginComputePass({ timestampWrites: i === lastPass ? span?.end() : undefined });
      }
      pass.setPipeline(pipeline);
      pass.setBindGroup(0, bindGroup);
      pass.dispatchWorkgroups(...workgroups);
    }
    pass.end();
  }

  /** What this run takes. */
  #due(): readonly Launch[] {
    const due = this.#isStale ? this.launches : this.repeated;
    this.#isStale = false;
    return due;
  }

  #runTimed(encoder: GPUCommandEncoder, timings: Timings): void {
    for (const launch of this.#due()) {
      const { copies, pipeline, bindGroup, workgroups } = launch;
      encodeCopies(encoder, copies);
      const pass = encoder.beginComputePass({ timestampWrites: timings.next(launchKey(launch)) });
      pass.setPipeline(pipeline);
      pass.setBindGroup(0, bindGroup);
      pass.dispatchWorkgroups(...workgroups);
      pass.end();
    }
    timings.resolve(encoder);
  }

  /** The buffer of a named value. */
  buffer(name: string): GPUBuffer {
    return this.#named(name).buffer;
  }

  /** Writes a named value; `data` is in its logical shape, f32 or u32, and is padded and narrowed as stored. */
  write(name: string, data: Float32Array | Uint32Array): void {
    const { value, buffer } = this.#named(name);
    this.#isStale ||= value.storage.steady;
    const rows = rowsOf(value.shape), width = value.shape.at(-1)!, stride = 4 * vec4s(value.shape);
    if (data.length !== rows * width) {
      throw new RangeError(`Cannot write ${name}: ${data.length} numbers given, [${value.shape}] has ${rows * width}`);
    }
    const stored = { f32: Float32Array, f16: Float16Array, u32: Uint32Array }[value.dtype];
    const padded = new stored(rows * stride);
    if (stride === width) padded.set(data);
    else for (let row = 0; row < rows; row++) padded.set(data.subarray(row * width, (row + 1) * width), row * stride);
    this.device.gpu.queue.writeBuffer(buffer, 0, padded as BufferSource);
  }

  /** Reads a named value of floats in its logical shape. */
  async read(name: string): Promise<Float32Array<ArrayBuffer>> {
    const { value, buffer } = this.#named(name);
    const bytes = await readBuffer(this.device, buffer, 0, value.storage.bytes);
    const stored = value.dtype === "f16" ? new Float16Array(bytes) : new Float32Array(bytes);
    const rows = rowsOf(value.shape), width = value.shape.at(-1)!, stride = 4 * vec4s(value.shape);
    const logical = new Float32Array(rows * width);
    for (let row = 0; row < rows; row++) logical.set(stored.subarray(row * stride, row * stride + width), row * width);
    return logical;
  }

  #named(name: string): { value: Value; buffer: GPUBuffer } {
    const found = this.named.get(name);
    if (!found) throw new RangeError(`The plan has no value "${name}": it has ${[...this.named.keys()].join(", ")}`);
    return found;
  }

  [Symbol.dispose](): void {
    for (const resource of this.#owned.splice(0)) this.device.memory.free(resource);
  }
}
