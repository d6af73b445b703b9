/** A network of a model whose weights come to the device when they are needed, and go when others need the room. */
import type { ComponentTensors } from "../checkpoint/component.ts";
import type { Module } from "../nn/module.ts";
import { checkWeights, loadWeights, stagedBytes } from "./load.ts";
import type { Backend } from "./model.ts";
import { Resident, type ResidentKind } from "./residency.ts";
import { type Weights, weightsBytes } from "./weights.ts";

/** Whose weights they are. */
export type ComponentKind = Exclude<ResidentKind, "plan" | "state">;

export class Component<Network extends Module = Module> extends Resident {
  /** Bytes that its weights take on the device. */
  readonly size: number;
  readonly network: Network;
  readonly #backend: Backend;
  readonly #open: () => ComponentTensors;
  #weights?: Weights;

  /** `open` opens the tensors of `network`; they are closed again once they are read. Nothing is read here. */
  constructor(
    kind: ComponentKind,
    { name, backend, network, open }: {
      name: string;
      backend: Backend;
      network: Network;
      open: () => ComponentTensors;
    },
  ) {
    super(kind, name, backend.residency);
    this.network = network;
    this.#backend = backend;
    this.#open = open;
    this.size = weightsBytes(network, backend.target);
  }

  override get bytes(): number {
    return this.#weights ? this.size : 0;
  }

  /** What {@link load} takes beside the weights while it runs. */
  get staging(): number {
    return stagedBytes(this.network, this.#backend.target);
  }

  /** @throws {WeightsError} when the file's tensors are not the network's; reads headers alone. */
  check(): void {
    using tensors = this.#open();
    checkWeights(this.network, tensors);
  }

  /**
   * Brings the weights to the device, unless they are there. Makes room for them, and for `more` bytes that are to
   * follow, at the cost of everything but `needed`.
   */
  async load({ more = 0, needed = [] }: { more?: number; needed?: readonly Resident[] } = {}): Promise<void> {
    if (this.#weights) return this.use();
    const { device, target, residency, alive } = this.#backend;
    const freed = residency.makeRoom(this.name, this.size + Math.max(more, this.staging), [this, ...needed]);
    if (freed) await device.idle(); // until then WebGPU keeps what was destroyed
    using tensors = this.#open();
    this.#weights = await loadWeights(device, target, this.network, tensors, { alive });
    this.arrive();
  }

  protected override drop(): void {
    this.#weights?.[Symbol.dispose]();
    this.#weights = undefined;
    for (const [, parameter] of this.network.parameters()) parameter.resource = undefined;
  }
}
