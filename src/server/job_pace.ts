/** How fast jobs are done, by how large their steps are: what has not been measured is judged by what is nearest to it. */

/** What a job's pace depends on. */
export interface Kind {
  model: string;
  /** Any measure of the arithmetic of a step. */
  size: number;
}

/** What a job has to do, in any units that the times of jobs of its kind are proportional to. */
export interface Work {
  /** All its steps, and what comes before them. */
  steps: number;
  /** What comes after them: decoding. */
  rest: number;
}

/** Milliseconds for each unit of a job's work. */
type Rates = Readonly<Work>;

/** Two sizes tell of a third one's pace where one is so many times the other: what is between nearer ones is mostly noise. */
const apart = 2;
/** Kinds of which paces are kept. */
const keptKinds = 100;

export interface Measured extends Kind {
  rates: Rates;
}

export class JobPace {
  /** Of jobs that were completed, most recently used last. */
  readonly #measured: Measured[] = [];
  /** Of the job that runs, so far. */
  #current?: Measured;

  /** What a completed job took; `weight` is how much of the estimate it makes up where there is one. */
  learn({ rates, ...kind }: Measured, weight: number): void {
    const at = this.#measured.findIndex((other) => isSame(other, kind));
    const before = at < 0 ? rates : this.#measured.splice(at, 1)[0].rates;
    this.#measured.push({ ...kind, rates: eachOf((part) => before[part] + weight * (rates[part] - before[part])) });
    if (this.#measured.length > keptKinds) this.#measured.shift();
  }

  /** What the job that runs has taken so far, which stands for its kind as long as none was completed; nothing where none runs. */
  runs(current?: Measured): void {
    this.#current = current;
  }

  /** Milliseconds for each unit of a job's work, where anything is known. */
  of(kind: Kind): Rates | undefined {
    const current = this.#current, isMeasured = current && this.#measured.some((other) => isSame(other, current));
    const known = [...this.#measured, ...current && !isMeasured ? [current] : []];
    const ofModel = known.filter(({ model }) => model === kind.model);
    // Of another model's pace nothing follows, but there is nothing better.
    if (ofModel.length === 0) return known.at(-1)?.rates;
    const [nearest, ...others] = ofModel.toSorted((a, b) => distance(a, kind) - distance(b, kind));
    const second = others.find((other) => distance(other, nearest) >= Math.log(apart));
    return eachOf((part) => second ? between(nearest, second, kind, part) : beside(nearest, kind, part));
  }
}

function eachOf(rate: (part: keyof Work) => number): Rates {
  return { steps: rate("steps"), rest: rate("rest") };
}

/**
 * The pace of a size by another one's. A step of `x` times the arithmetic takes between as long, where it is dispatches and waits,
 * and `x` times as long: up to four times `x ** 0.5` is wrong by a factor of two at the most. Beyond that larger steps are
 * taken for all arithmetic, and smaller ones for none.
 */
function beside({ size, rates }: Measured, kind: Kind, part: keyof Work): number {
  const times = kind.size / size, within = Math.min(4, Math.max(1 / 4, times));
  return rates[part] * within ** 0.5 * Math.max(1, times / within) / times;
}

/** The pace of a size by two others': a step takes `waits + arithmetic * size`, neither of them less than nothing. */
function between(nearest: Measured, second: Measured, kind: Kind, part: keyof Work): number {
  const waits = (nearest.rates[part] - second.rates[part]) / (1 / nearest.size - 1 / second.size);
  const most = nearest.rates[part] * nearest.size, within = Math.min(most, Math.max(0, waits));
  return (most - within) / nearest.size + within / kind.size;
}

function distance(a: Kind, b: Kind): number {
  return Math.abs(Math.log(a.size / b.size));
}

function isSame(a: Kind, b: Kind): boolean {
  return a.model === b.model && a.size === b.size;
}
