/** The canvases that are kept: of few sizes, and of each for few numbers of pictures made together. */
import { Canvas, type CanvasSize } from "./canvas.ts";
import type { StableDiffusion } from "./model.ts";

/** Sizes whose plans are kept. */
const keptSizes = 2;
/** Of each size the numbers of pictures whose plans are kept: one, which batches have text read and pictures decoded by too, and others. */
const keptBatches = 4;

export class Canvases implements Disposable {
  /** By all that makes a size but the number of pictures, and then by that; most recently used last. */
  readonly #sizes = new Map<string, Map<number, Canvas>>();

  constructor(readonly model: StableDiffusion) {}

  /** The stages of a size. What the sizes least recently used have on the device is freed. */
  of({ images, height, width, tiling = false, tokenMerging }: CanvasSize): Canvas {
    const batches = recent(this.#sizes, [height, width, tiling, tokenMerging].join(), {
      make: () => new Map<number, Canvas>(),
      most: keptSizes,
      drop: disposeAll,
    });
    return recent(batches, images, {
      make: () => new Canvas(this.model, { images, height, width, tiling, tokenMerging }),
      most: keptBatches,
      drop: (canvas) => canvas[Symbol.dispose](),
    });
  }

  /** Bytes that all of them take on the GPU besides the weights. */
  get bytes(): number {
    const all = [...this.#sizes.values()].flatMap((batches) => [...batches.values()]);
    return all.reduce((sum, { bytes }) => sum + bytes, 0);
  }

  /** Frees the plans of all sizes. */
  clear(): void {
    for (const batches of this.#sizes.values()) disposeAll(batches);
    this.#sizes.clear();
  }

  [Symbol.dispose](): void {
    this.clear();
  }
}

function disposeAll(batches: ReadonlyMap<number, Canvas>): void {
  for (const canvas of batches.values()) canvas[Symbol.dispose]();
}

/** The value of a key, made where there is none, as the most recently used of at most `most`. */
function recent<Key, Value>(
  map: Map<Key, Value>,
  key: Key,
  { make, most, drop }: { make: () => Value; most: number; drop: (value: Value) => void },
): Value {
  const value = map.get(key) ?? make();
  map.delete(key);
  map.set(key, value);
  for (const [old, other] of map) {
    if (map.size <= most) break;
    map.delete(old);
    drop(other);
  }
  return value;
}
