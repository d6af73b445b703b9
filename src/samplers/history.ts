/** Where the predictions and latents that rows look back at are kept. */
import type { Step } from "./step.ts";

/** One row's part in a history of a few slots. */
export interface Place {
  /** Where the row's prediction goes. */
  slot: number;
  /** Where the latents before the row go; −1 where they are not saved. */
  saveSlot: number;
  /** What each slot is multiplied by, the row's own prediction among them. */
  weights: number[];
}

/**
 * A place for every row's prediction from that row to the last that reads it, and for saved latents likewise.
 * Throws a RangeError where `slots` are too few, or a row reads what no row made.
 */
export function placeHistory(steps: readonly Step[], slots: number): Place[] {
  /** The last row that reads what a slot holds. */
  const busyUntil: number[] = Array(slots).fill(-1);
  const places: Place[] = [];
  let saved = -1;
  for (const [i, { denoised, saves, fromSaved = 0 }] of steps.entries()) {
    const weights: number[] = Array(slots).fill(0);
    if (fromSaved !== 0) weights[check(saved, i)] = fromSaved;
    const slot = take(i, lastReader(steps, i));
    if (saves) saved = take(i, lastReaderOfSaved(steps, i));
    places.push({ slot, saveSlot: saves ? saved : -1, weights });
    for (const [back, weight] of denoised.entries()) {
      if (weight !== 0) weights[check(places[i - back]?.slot ?? -1, i)] = weight;
    }
  }
  return places;

  function take(row: number, until: number): number {
    const slot = busyUntil.findIndex((last) => last < row);
    if (slot < 0) throw new RangeError(`Row ${row} of the sampler needs more than the history's ${slots} slots`);
    busyUntil[slot] = until;
    return slot;
  }
}

function check(slot: number, row: number): number {
  if (slot < 0) throw new RangeError(`Row ${row} of the sampler reads what no row before it made`);
  return slot;
}

function lastReader(steps: readonly Step[], row: number): number {
  return Math.max(row, steps.findLastIndex(({ denoised }, i) => i >= row && (denoised[i - row] ?? 0) !== 0));
}

function lastReaderOfSaved(steps: readonly Step[], row: number): number {
  const next = steps.findIndex(({ saves }, i) => i > row && saves);
  const rows = steps.slice(row + 1, next < 0 ? steps.length : next + 1);
  return row + 1 + rows.findLastIndex(({ fromSaved = 0 }) => fromSaved !== 0);
}
