/** The account of a device's memory: WebGPU says neither what there is nor what is used. */
import { GpuOutOfMemoryError } from "./errors.ts";

/** What device memory is spent on. */
export const memoryKinds = ["weights", "slots", "named", "staging"] as const;

/**
 * `weights` of networks, `slots` that a plan's values share, `named` values that outlive a run, `staging` of what comes
 * and goes: uploads and readbacks.
 */
export type MemoryKind = typeof memoryKinds[number];

/** Every allocation of one device goes through here, and its end too. */
export class Memory {
  readonly #gpu: GPUDevice;
  readonly #held = new Map<GPUBuffer | GPUTexture, { kind: MemoryKind; bytes: number }>();
  readonly #bytes: Record<MemoryKind, number> = { weights: 0, slots: 0, named: 0, staging: 0 };
  #used = 0;
  #peak = 0;
  readonly #failed: (error: GpuOutOfMemoryError) => void;

  /** `failed` hears of what could not be allocated, soon after. */
  constructor(gpu: GPUDevice, failed: (error: GpuOutOfMemoryError) => void) {
    this.#gpu = gpu;
    this.#failed = failed;
  }

  /** Makes a buffer; {@link free} ends it. `copies`: bytes that WebGPU itself holds to fill it, counted with it. */
  buffer(kind: MemoryKind, descriptor: GPUBufferDescriptor, { copies = 0 } = {}): GPUBuffer {
    return this.#hold(kind, descriptor.size + copies, descriptor.label, () => this.#gpu.createBuffer(descriptor));
  }

  /** Makes a texture that takes `bytes`; {@link free} ends it. */
  texture(kind: MemoryKind, descriptor: GPUTextureDescriptor, bytes: number): GPUTexture {
    return this.#hold(kind, bytes, descriptor.label, () => this.#gpu.createTexture(descriptor));
  }

  /** Destroys what was made here; a second time does nothing. */
  free(resource: GPUBuffer | GPUTexture): void {
    const held = this.#held.get(resource);
    if (!held) return;
    this.#held.delete(resource);
    this.#bytes[held.kind] -= held.bytes;
    this.#used -= held.bytes;
    resource.destroy();
  }

  /** Bytes held now. */
  get used(): number {
    return this.#used;
  }

  /** The most bytes that were ever held at once. */
  get peak(): number {
    return this.#peak;
  }

  /** Bytes held now by what they are for. */
  get bytes(): Readonly<Record<MemoryKind, number>> {
    return { ...this.#bytes };
  }

  #hold<Resource extends GPUBuffer | GPUTexture>(
    kind: MemoryKind,
    bytes: number,
    label: string | undefined,
    create: () => Resource,
  ): Resource {
    const held = this.#used;
    this.#gpu.pushErrorScope("out-of-memory");
    const resource = create();
    this.#gpu.popErrorScope().then((error) => {
      if (!error) return;
      const message = `The GPU has no ${bytes} bytes for ${label || kind} beside the ${held} in use`;
      this.#failed(new GpuOutOfMemoryError(message, held));
    }, () => {}); // a lost device has no scopes
    this.#held.set(resource, { kind, bytes });
    this.#bytes[kind] += bytes;
    this.#used += bytes;
    this.#peak = Math.max(this.#peak, this.#used);
    return resource;
  }
}
