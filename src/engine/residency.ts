/** What is on the device and may leave it: components and plans, least recently used first, under one budget. */
import type { Memory } from "../gpu/memory.ts";

/** Something needs more memory than there is, even alone. */
export class BudgetError extends RangeError {
  override name = "BudgetError";
}

/** Bytes as people read them: "1.60 GiB". */
export function formatBytes(bytes: number): string {
  const unit = bytes >= 2 ** 30 ? ["GiB", 2 ** 30] as const : ["MiB", 2 ** 20] as const;
  const count = bytes / unit[1];
  return `${count.toFixed(count < 10 ? 2 : count < 100 ? 1 : 0)} ${unit[0]}`;
}

/** The sentence's end that says what is needed and what there is. */
export function overBudget(bytes: number, budget: number): string {
  return `needs ${formatBytes(bytes)} of device memory, and MEMORY_BUDGET is ${formatBytes(budget)}`;
}

/** What residents there are: weights by the component, plans, and states that plans share. */
export const residentKinds = ["text_encoder", "unet", "vae", "plan", "state"] as const;
export type ResidentKind = typeof residentKinds[number];

/** Device memory that can be given up and had again: a component's weights, a stage's plan, a size's state. */
export abstract class Resident {
  /** What is made from this and cannot be without it. */
  readonly #dependents = new Set<Resident>();

  constructor(
    readonly kind: ResidentKind,
    readonly name: string,
    protected readonly residency: Residency,
    private readonly needs: Resident[] = [],
  ) {}

  /** Bytes it takes now; 0 where it is not on the device. */
  abstract readonly bytes: number;

  /** Frees its memory; called once what depends on it is gone. */
  protected abstract drop(): void;

  /** To be called when it has been made: it and what it is made from are now the most recently used. */
  protected arrive(): void {
    for (const need of this.needs) need.#dependents.add(this);
    this.use();
    this.residency.changed();
  }

  /** Marks it, and what it is made from, as the most recently used. */
  use(): void {
    for (const need of this.needs) need.use();
    this.residency.use(this);
  }

  /** Frees what depends on it, and then its own memory. */
  evict(): void {
    for (const dependent of [...this.#dependents]) dependent.evict();
    for (const need of this.needs) need.#dependents.delete(this);
    this.drop();
    this.residency.forget(this);
  }

  [Symbol.dispose](): void {
    this.evict();
  }
}

/** Of what a device could not hold, what is tried next. */
const triedShare = 0.9;

export class Residency {
  /** Least recently used first. */
  readonly #residents = new Set<Resident>();
  readonly #pinned = new Set<Resident>();
  /** How often something was given up for something else. */
  evictions = 0;
  /** Called after something has come or gone. */
  changed: () => void = () => {};

  #budget: number;

  /** `budget` in bytes of device memory; without one nothing has to leave. */
  constructor(readonly memory: Memory, budget: number = Infinity) {
    this.#budget = budget;
  }

  /** Bytes of device memory that may be used at once. */
  get budget(): number {
    return this.#budget;
  }

  /** After the device had no more memory beside `held` bytes: from now on a little less than those are all there is. */
  shrink(held: number): void {
    this.#budget = Math.floor(Math.min(this.#budget, triedShare * held));
  }

  /** Makes the budget `bytes` at least, which it had before it shrank. */
  grow(bytes: number): void {
    this.#budget = Math.max(this.#budget, bytes);
  }

  /** What is on the device, least recently used first. */
  get residents(): Iterable<Resident> {
    return this.#residents;
  }

  use(resident: Resident): void {
    this.#residents.delete(resident);
    this.#residents.add(resident);
  }

  /** Keeps something until {@link unpin}: what it holds cannot be had again. */
  pin(resident: Resident): void {
    this.#pinned.add(resident);
  }

  /** Lets go of something pinned, or of everything: the job that it was for is over. */
  unpin(resident?: Resident): void {
    if (resident) this.#pinned.delete(resident);
    else this.#pinned.clear();
  }

  forget(resident: Resident): void {
    this.#pinned.delete(resident);
    if (this.#residents.delete(resident)) this.changed();
  }

  /**
   * Evicts until `bytes` more fit the budget, never one of `needed` or what is pinned; whether anything had to go.
   * @throws {BudgetError} when they do not fit beside what is needed.
   */
  makeRoom(what: string, bytes: number, needed: readonly Resident[]): boolean {
    const before = this.evictions;
    for (const resident of [...this.#residents]) {
      if (this.memory.used + bytes <= this.budget) break;
      if (needed.includes(resident) || this.#pinned.has(resident) || !this.#residents.has(resident)) continue;
      resident.evict();
      this.evictions++;
    }
    const total = this.memory.used + bytes;
    if (total > this.budget) throw new BudgetError(`Cannot run ${what}: it ${overBudget(total, this.budget)}`);
    return this.evictions > before;
  }

  /** Frees everything. */
  clear(): void {
    for (const resident of [...this.#residents]) resident.evict();
  }
}
