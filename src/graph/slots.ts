/** Which values may share memory: a slot is a buffer, or a texture, that several values use one after another. */
import { type Dispatch, type Storage, Value } from "./graph.ts";
import { textureCopies } from "./textures.ts";

/** From the dispatch that first touches a value to the last one that does. */
interface Lifetime {
  storage: Storage;
  first: number;
  last: number;
}

/** One buffer or texture, as large as its largest tenant. */
export interface Slot {
  bytes: number;
  tenants: Lifetime[];
}

/** First and last use of every unnamed value's buffer; one read from a texture is used when it is copied there. */
export function lifetimes(dispatches: readonly Dispatch[], steady = 0): Lifetime[] {
  const copies = textureCopies(dispatches, steady);
  return span(dispatches, ({ operands, textures }, at) => {
    const direct = Object.entries(operands).filter(([name]) => !textures.includes(name));
    const storages = direct.map(([, operand]) => operand).filter((operand) => operand instanceof Value)
      .map(({ storage }) => storage);
    return [...storages, ...copies[at]].filter(({ name }) => name === undefined);
  });
}

/** First and last use of every value's texture, of named values too. */
export function textureLifetimes(dispatches: readonly Dispatch[]): Lifetime[] {
  return span(
    dispatches,
    ({ operands, textures }) =>
      textures.map((name) => operands[name]).filter((operand) => operand instanceof Value).map(({ storage }) =>
        storage
      ),
  );
}

function span(dispatches: readonly Dispatch[], uses: (dispatch: Dispatch, at: number) => Storage[]): Lifetime[] {
  const found = new Map<Storage, Lifetime>();
  for (const [at, dispatch] of dispatches.entries()) {
    for (const storage of uses(dispatch, at)) {
      const lifetime = found.get(storage);
      if (lifetime) lifetime.last = at;
      else found.set(storage, { storage, first: at, last: at });
    }
  }
  return [...found.values()];
}

/**
 * Places values largest first, each into the first slot whose tenants' lifetimes do not touch its own. A slot is a
 * whole buffer because WebGPU refuses a dispatch that binds one buffer as both `read` and `read_write`.
 */
export function assignSlots(dispatches: readonly Dispatch[], steady = 0): Slot[] {
  return place(lifetimes(dispatches, steady));
}

/** The same for the textures that values are copied to. */
export function assignTextures(dispatches: readonly Dispatch[]): Slot[] {
  return place(textureLifetimes(dispatches));
}

function place(lifetimes: Lifetime[]): Slot[] {
  const slots: Slot[] = [];
  for (const lifetime of lifetimes.sort((a, b) => b.storage.bytes - a.storage.bytes)) {
    const free = slots.find((slot) =>
      slot.tenants.every((other) => other.last < lifetime.first || lifetime.last < other.first)
    );
    if (free) free.tenants.push(lifetime);
    else slots.push({ bytes: lifetime.storage.bytes, tenants: [lifetime] });
  }
  return slots;
}
