/**
 * What a plan need not work out at every run: all that follows from parameters and from inputs that seldom change, as the keys and
 * values of a prompt do over the steps of a picture.
 */
import { type Dispatch, type Graph, type Storage, Value } from "./graph.ts";

/** Bytes that are kept between runs for it at the most: prompts of many chunks would take more than they save. */
const mostBytes = 64 << 20;

/**
 * Moves what follows from steady inputs alone to the front of the dispatches, and names what the others read of it, so that it
 * outlives a run. To be called after fusion; a second time it does nothing.
 */
export function moveSteady(graph: Graph): void {
  if (graph.steady > 0) return;
  const varying = varyingStorages(graph);
  const isSteady = (dispatch: Dispatch) => storagesOf(dispatch).every((storage) => !varying.has(storage));
  const { true: first = [], false: rest = [] } = Object.groupBy(
    graph.dispatches,
    (dispatch) => `${isSteady(dispatch)}`,
  );
  const made = new Set(first.map(({ operands, writes }) => (operands[writes] as Value).storage)),
    kept = new Map<Storage, Value>();
  for (const { operands } of rest) {
    for (const operand of Object.values(operands)) {
      if (operand instanceof Value && made.has(operand.storage)) kept.set(operand.storage, operand);
    }
  }
  if (kept.values().reduce((sum, { storage }) => sum + storage.bytes, 0) > mostBytes) return;
  for (const [i, value] of [...kept.values()].entries()) graph.keep(`steady ${i}`, value);
  graph.dispatches.splice(0, Infinity, ...first, ...rest);
  graph.steady = first.length;
}

/** Everything that may be another at each run: inputs that are not steady, and what any of it goes into. */
function varyingStorages({ dispatches, named }: Graph): ReadonlySet<Storage> {
  const varying = new Set([...named.values()].map(({ storage }) => storage).filter(({ steady }) => !steady));
  for (let before = -1; before !== varying.size;) { // until none is added: several dispatches may write one value
    before = varying.size;
    for (const dispatch of dispatches) {
      const storages = storagesOf(dispatch), written = dispatch.operands[dispatch.writes] as Value;
      // What reads no value is the same at each run too, but nobody has asked for it.
      if (storages.length > 1 && storages.every((storage) => !varying.has(storage)) && !written.storage.steady) {
        continue;
      }
      for (const storage of storages) if (storage === written.storage) varying.add(storage);
    }
  }
  return varying;
}

function storagesOf({ operands }: Dispatch): Storage[] {
  return Object.values(operands).filter((operand) => operand instanceof Value).map(({ storage }) => storage);
}
