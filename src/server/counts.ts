/** What the server counts of requests and jobs as they come and go. */
import type { Answered } from "./access.ts";
import { codeOf } from "./errors.ts";
import { Counter, type Family, Histogram } from "./instruments.ts";
import type { Job } from "./job.ts";

/** Bounds in seconds, from a small answer to a large picture in a long queue. */
const seconds = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300];
/** Bounds in seconds of what should be immediate. */
const moments = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1];
/** Bounds of how many jobs run together. */
const together = [1, 2, 4, 8, 16];
/** How often the event loop is looked at. */
const lookMs = 100;

export class Counts {
  readonly #requests = new Counter({
    name: "sd_http_requests_total",
    help: "Requests answered; the status of one whose client left is 499.",
  });
  readonly #requestSeconds = new Histogram({
    name: "sd_http_request_duration_seconds",
    help: "From a request to the last byte of its answer.",
  }, seconds);
  readonly #errors = new Counter({
    name: "sd_http_errors_total",
    help: "Requests that were refused or failed, by the code of the error.",
  });
  readonly #jobs = new Counter(
    { name: "sd_jobs_total", help: "Jobs that are over, by how they ended." },
    ["completed", "failed", "cancelled"].map((outcome) => ({ outcome })),
  );
  readonly #failures = new Counter({
    name: "sd_job_failures_total",
    help: "Jobs that failed, by the code of the error.",
  });
  readonly #cancels = new Counter(
    { name: "sd_job_cancels_total", help: "Jobs that were given up, by why." },
    ["client_left", "job_cancelled", "server_stopped"].map((reason) => ({ reason })),
  );
  readonly #pictures = new Counter({ name: "sd_pictures_total", help: "Pictures of completed jobs." }, [{}]);
  readonly #jobSeconds = new Histogram({
    name: "sd_job_duration_seconds",
    help: "From taking a job on to its end, if it was completed.",
  }, seconds);
  readonly #stageSeconds = new Histogram({
    name: "sd_stage_duration_seconds",
    help: "What a job took in a stage; queue is its wait.",
  }, seconds);
  readonly #gpuSeconds = new Counter({
    name: "sd_stage_gpu_seconds_total",
    help: "What the GPU took in a stage, where it has timestamps.",
  });
  readonly #stepSeconds = new Histogram({
    name: "sd_step_duration_seconds",
    help:
      "What a sampler's step took, once for each job of a batch; their count over their sum is steps a second of a job.",
  }, seconds);
  readonly #runJobs = new Histogram({
    name: "sd_run_jobs",
    help: "Jobs that ran together, whose pictures share batches; their sum over their count is jobs a run.",
  }, together);
  readonly #loop = new Histogram({
    name: "sd_event_loop_delay_seconds",
    help: `How late the server's thread came to a timer, ${1000 / lookMs} times a second.`,
  }, moments);
  #stepsPerSecond?: number;

  /** Counts a request. */
  answered({ method, route, status, ms, code }: Answered): void {
    this.#requests.add({ method, route, status: `${status}` });
    this.#requestSeconds.observe(ms / 1000, { route });
    if (code !== undefined) this.#errors.add({ code });
  }

  /** Counts a job as it goes on, to its end. */
  async follow(job: Job): Promise<void> {
    const pictures = job.pictures.length;
    for await (const news of job.news.from()) {
      if (news.type === "progress") this.#stepSeconds.observe(news.ms / 1000);
    }
    this.#jobs.add({ outcome: job.status });
    for (const [stage, ms] of sumsOf(job)) this.#stageSeconds.observe(ms / 1000, { stage });
    for (const { stage, gpuMs } of job.stages) if (gpuMs !== undefined) this.#gpuSeconds.add({ stage }, gpuMs / 1000);
    if (job.status === "failed") this.#failures.add({ code: codeOf(job.error) });
    if (job.status === "cancelled") this.#cancels.add({ reason: codeOf(job.error) });
    if (job.status !== "completed") return;
    this.#pictures.add({}, pictures);
    this.#jobSeconds.observe((job.finished! - job.created) / 1000);
    const { denoise } = job.timing;
    if (denoise > 0) this.#stepsPerSecond = 1000 * job.steps / denoise;
  }

  /** Counts a run of so many jobs. */
  started(jobs: number): void {
    this.#runJobs.observe(jobs);
  }

  /** Looks at the event loop from now on; what is returned ends that. */
  watchLoop(): () => void {
    let due = performance.now() + lookMs;
    const timer = setInterval(() => {
      const now = performance.now();
      this.#loop.observe(Math.max(0, now - due) / 1000);
      due = now + lookMs;
    }, lookMs);
    Deno.unrefTimer(timer);
    return () => clearInterval(timer);
  }

  get families(): Family[] {
    const families = [
      ...[
        this.#requests,
        this.#requestSeconds,
        this.#errors,
        this.#jobs,
        this.#failures,
        this.#cancels,
        this.#pictures,
      ],
      ...[this.#jobSeconds, this.#stageSeconds, this.#gpuSeconds, this.#stepSeconds, this.#runJobs, this.#loop],
    ].map(({ family }) => family).filter(({ samples }) => samples.length > 0);
    if (this.#stepsPerSecond === undefined) return families;
    return [...families, {
      name: "sd_steps_per_second",
      help: "Of the last job that was completed.",
      type: "gauge",
      samples: [{ value: this.#stepsPerSecond }],
    }];
  }
}

/** Milliseconds by stage. */
function sumsOf({ stages }: Job): Map<string, number> {
  const sums = new Map<string, number>();
  for (const { stage, ms } of stages) sums.set(stage, (sums.get(stage) ?? 0) + ms);
  return sums;
}
