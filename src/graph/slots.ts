/** Which values may share memory: a slot is a buffer that several values use one after another. */
import { type Dispatch, type Storage, Value } from "./graph.ts";

/** From the dispatch that first touches a value to the last one that does. */
interface Lifetime {
  storage: Storage;
  first: number;
  last: number;
}

/** One buffer, as large as its largest tenant. */
export interface Slot {
  bytes: number;
  tenants: Lifetime[];
}

/** First and last use of every unnamed value. */
export function lifetimes(dispatches: readonly Dispatch[]): Lifetime[] {
  const found = new Map<Storage, Lifetime>();
  for (const [at, { operands }] of dispatches.entries()) {
    for (const operand of Object.values(operands)) {
      if (!(operand instanceof Value) || operand.storage.name !== undefined) continue;
      const lifetime = found.get(operand.storage);
      if (lifetime) lifetime.last = at;
      else found.set(operand.storage, { storage: operand.storage, first: at, last: at });
    }
  }
  return [...found.values()];
}

/**
 * Places values largest first, each into the first slot whose tenants' lifetimes do not touch its own. A slot is a
 * whole buffer because WebGPU refuses a dispatch that binds one buffer as both `read` and `read_write`.
 */
export function assignSlots(dispatches: readonly Dispatch[]): Slot[] {
  const slots: Slot[] = [];
  for (const lifetime of lifetimes(dispatches).sort((a, b) => b.storage.bytes - a.storage.bytes)) {
    const free = slots.find((slot) =>
      slot.tenants.every((other) => other.last < lifetime.first || lifetime.last < other.first)
    );
    if (free) free.tenants.push(lifetime);
    else slots.push({ bytes: lifetime.storage.bytes, tenants: [lifetime] });
  }
  return slots;
}
