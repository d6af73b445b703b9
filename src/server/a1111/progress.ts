/** The answer of `progress`. */
import { encodeBase64 } from "@std/encoding";
import type { Job } from "../job.ts";
import { timestampOf } from "./result.ts";

/** How far the first of these jobs is, which is the one that runs if any does; nothing at all where there is none. */
export function progressOf(
  jobs: readonly Job[],
  { estimatedMs, withImage }: { estimatedMs: number; withImage: boolean },
) {
  const job = jobs.find(({ status }) => status === "running") ?? jobs[0];
  const steps = job?.steps ?? 0, preview = job?.news.items.findLast(({ type }) => type === "preview");
  const progress = !job ? 0 : Math.min(1, 0.01 + (job.status === "running" ? job.step / steps : 0));
  return {
    progress,
    eta_relative: job ? secondsLeft(job, { progress, estimatedMs }) : 0,
    state: {
      skipped: false,
      interrupted: job?.signal.aborted ?? false,
      stopping_generation: false,
      job: job ? job.taskId ?? job.id : "",
      job_count: job ? 1 : 0,
      job_timestamp: job ? timestampOf(job.created) : "0",
      job_no: 0,
      sampling_step: job?.step ?? 0,
      sampling_steps: steps,
    },
    current_image: preview?.type === "preview" && withImage ? encodeBase64(preview.png) : null,
    textinfo: null,
  };
}

/** Judged as A1111 does, by what the part that is done has taken; by all jobs held where nothing is done of this one. */
function secondsLeft(job: Job, { progress, estimatedMs }: { progress: number; estimatedMs: number }): number {
  if (job.step === 0 || job.started === undefined) return estimatedMs / 1000;
  const spent = (Date.now() - job.started) / 1000;
  return spent / progress - spent;
}
