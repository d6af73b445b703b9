/** The account of a device's memory: WebGPU says neither what there is nor what is used. */

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
  #full = 0;

  constructor(gpu: GPUDevice) {
    this.#gpu = gpu;
  }

  /** Makes a buffer; {@link free} ends it. `copies`: bytes that WebGPU itself holds to fill it, counted with it. */
  buffer(kind: MemoryKind, descriptor: GPUBufferDescriptor, { copies = 0 } = {}): GPUBuffer {
    const buffer = this.#gpu.createBuffer(descriptor);
    this.#hold(buffer, kind, descriptor.size + copies);
    return buffer;
  }

  /** Makes a texture that takes `bytes`; {@link free} ends it. */
  texture(kind: MemoryKind, descriptor: GPUTextureDescriptor, bytes: number): GPUTexture {
    const texture = this.#gpu.createTexture(descriptor);
    this.#hold(texture, kind, bytes);
    return texture;
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

  /** Bytes held when the device last had no more; 0 where that never was. */
  get full(): number {
    return this.#full;
  }

  /** The device has no more: whoever asked may free what it holds before anyone looks. */
  ranOut(): void {
    this.#full = this.#used;
  }

  /** Bytes held now by what they are for. */
  get bytes(): Readonly<Record<MemoryKind, number>> {
    return { ...this.#bytes };
  }

  #hold(resource: GPUBuffer | GPUTexture, kind: MemoryKind, bytes: number): void {
    this.#held.set(resource, { kind, bytes });
    this.#bytes[kind] += bytes;
    this.#used += bytes;
    this.#peak = Math.max(this.#peak, this.#used);
  }
}
