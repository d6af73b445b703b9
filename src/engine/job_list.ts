/** The jobs that have not been answered, in the order in which they are run: one by one, or several in one run. */
import type { JobStream } from "./job_stream.ts";

export class JobList {
  readonly #jobs = new Map<string, JobStream>();

  /** Adds jobs that the Worker is given at once, behind all others. */
  add(run: readonly JobStream[]): void {
    for (const job of run) {
      job.run = run;
      this.#jobs.delete(job.id);
      this.#jobs.set(job.id, job);
    }
  }

  get(id: string): JobStream | undefined {
    return this.#jobs.get(id);
  }

  /** Whether it has not been answered; one of the same id is the same job given again, and another. */
  has(job: JobStream): boolean {
    return this.#jobs.get(job.id) === job;
  }

  remove(job: JobStream): void {
    if (this.has(job)) this.#jobs.delete(job.id);
  }

  get size(): number {
    return this.#jobs.size;
  }

  /** All of them as of now, oldest first. */
  get all(): JobStream[] {
    return [...this.#jobs.values()];
  }

  /** What is left of the oldest run, which is the one that the Worker has begun; none where there is none. */
  get running(): JobStream[] {
    const [first] = this.#jobs.values();
    return first ? first.run.filter((job) => this.has(job)) : [];
  }

  /** What is left of all runs, for another Worker: jobs that were interrupted together are each tried alone. */
  get runs(): JobStream[][] {
    return [...Map.groupBy(this.all, (job) => job.interrupted ? job : job.run).values()];
  }
}
