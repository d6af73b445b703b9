/**
 * How many jobs that wait run together. They share the dispatches and waits of each step, which is most of what a step of small
 * pictures takes, and nothing of its arithmetic: where that is most of it, together they would only all be late. So it is
 * decided by what steps have taken, for each size of pictures: jobs of one picture, from text alone, that could share
 * batches are run in twos, fours and so on as long as those that wait are done the sooner for it, on average.
 */
import type { GenerateRequest } from "../engine/request.ts";
import { pictureCount } from "../engine/tasks.ts";
import type { Sharing } from "./queue.ts";

/** Of so many steps the fastest stands for all: what other programmes cost is no measure. */
const remembered = 16;
/** After so many steps of a size what was measured before is forgotten, and tried again: something may have disturbed it. */
const patience = 1000;
/** Sizes of which times are kept. */
const keptSizes = 100;

/** What is known of one size. */
interface Measured {
  /** Steps so far. */
  count: number;
  /** By how many pictures they were for: milliseconds of the last ones, and how many steps there had been. */
  steps: Map<number, { ms: number; at: number }[]>;
}

export class Batching implements Sharing {
  readonly most: number;
  /** Most recently used last. */
  readonly #measured = new Map<string, Measured>();

  /** `most` pictures run together; with 1 each job runs alone. */
  constructor({ most }: { most: number }) {
    this.most = most;
  }

  /** What jobs have in common that can run together, of one that can. */
  alike(request: GenerateRequest, { fromImage }: { fromImage: boolean }): string | undefined {
    const { hires, stepCache, steps, sampler, scheduler, eta } = request;
    const single = pictureCount(request) === 1 && !fromImage && !hires;
    // What is kept between steps is made anew when a prompt changes: it must be the job's own.
    if (this.most === 1 || !single || stepCache !== undefined) return undefined;
    return `${sizeOf(request)}\n${JSON.stringify([request.guidanceScale, steps, sampler, scheduler, eta])}`;
  }

  /** A step of a job, for so many pictures, took so many milliseconds. The first one of each number compiled kernels as well. */
  took(alike: string, pictures: number, ms: number): void {
    const measured = this.#of(alike), { steps } = measured, before = steps.get(pictures);
    measured.count++;
    steps.set(pictures, before ? [...before.slice(1 - remembered), { ms, at: measured.count }] : []);
  }

  /**
   * How many of `waiting` jobs run together: as many as let all end soonest on average, or twice as many where so far more was
   * better and that has not been tried.
   */
  together(alike: string, waiting: number): number {
    const measured = this.#of(alike);
    let best = 1, soonest = Infinity;
    for (let count = 1; count <= Math.min(waiting, this.most); count *= 2) {
      const ms = fastest(measured, count);
      if (ms === undefined) return best * 2 === count ? count : best;
      const end = ms * sumOfRuns(waiting, count);
      if (end < soonest) [best, soonest] = [count, end];
    }
    return best;
  }

  share(alike: string, count: number): number {
    const measured = this.#of(alike), [one, many] = [1, count].map((each) => fastest(measured, each));
    return one === undefined || many === undefined ? 1 : Math.min(1, many / (count * one));
  }

  #of(alike: string): Measured {
    const size = alike.slice(0, alike.indexOf("\n")),
      measured = this.#measured.get(size) ?? { count: 0, steps: new Map() };
    this.#measured.delete(size);
    this.#measured.set(size, measured);
    for (const old of this.#measured.keys()) {
      if (this.#measured.size <= keptSizes) break;
      this.#measured.delete(old);
    }
    return measured;
  }
}

/** What the time of a step depends on, beside how many pictures it is for. */
function sizeOf({ model, width, height, guidanceScale, guidance, tiling, tokenMerging }: GenerateRequest): string {
  return JSON.stringify([model, width, height, guidanceScale > 1, guidance, tiling, tokenMerging]);
}

/** In which run jobs end, counted from 1 and summed over all `jobs`, where `count` of them run together. */
function sumOfRuns(jobs: number, count: number): number {
  const full = Math.floor(jobs / count), rest = jobs % count;
  return count * full * (full + 1) / 2 + rest * (full + 1);
}

/** Milliseconds of the fastest step for so many pictures that is remembered, where there is one. */
function fastest({ count, steps }: Measured, pictures: number): number | undefined {
  const times = steps.get(pictures)?.filter(({ at }) => at > count - patience) ?? [];
  return times.length > 0 ? Math.min(...times.map(({ ms }) => ms)) : undefined;
}
