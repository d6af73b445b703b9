/** How far a picture or a download is, on stderr: one line that fills up on a terminal, plain lines elsewhere. */
import { formatBytes } from "../hub/disk.ts";

const barWidth = 30;

/** Takes the steps of one job as they are done. */
export interface Progress {
  step(step: number, steps: number, ms: number): void;
  /** Ends the line that is being filled. */
  end(): void;
}

/** Shows progress with `write`, in place where `terminal`. */
export function showProgress({ terminal, write }: { terminal: boolean; write: (text: string) => void }): Progress {
  let open = false;
  return {
    step(step, steps, ms) {
      const counted = `${step}/${steps}, ${(ms / 1000).toFixed(2)} s a step`;
      const filled = Math.round(barWidth * step / steps);
      open = terminal;
      write(terminal ? `\r[${"#".repeat(filled).padEnd(barWidth, ".")}] ${counted} ` : `step ${counted}\n`);
    },
    end() {
      if (open) write("\n");
      open = false;
    },
  };
}

/** Takes how far a download is. */
export interface DownloadProgress {
  /** `path` is the file under way, the others bytes of all files; `received` are those of this call. */
  update(progress: { path: string; done: number; total: number; received: number }): void;
  /** Ends the line that is being filled. */
  end(): void;
}

/** The last milliseconds of a download, over which its rate is taken. */
const rateMs = 10_000;
/** How often a line on a terminal is drawn, and elsewhere written, in milliseconds. */
const drawMs = 200, lineMs = 10_000;

/** Shows a download with `write`: share, bytes, rate and time left, in place where `terminal`. `now` is in milliseconds. */
export function showDownload(
  { terminal, write, now = () => performance.now() }: {
    terminal: boolean;
    write: (text: string) => void;
    now?: () => number;
  },
): DownloadProgress {
  const seen: { at: number; received: number }[] = [];
  let open = false, drawn = now(), width = 0;
  return {
    update({ path, done, total, received }) {
      const at = now();
      seen.push({ at, received });
      while (seen.length > 2 && seen[1].at <= at - rateMs) seen.shift();
      if (at - drawn < (terminal ? drawMs : lineMs) && done < total) return;
      drawn = at;
      const seconds = (at - seen[0].at) / 1000, rate = seconds > 0 ? (received - seen[0].received) / seconds : 0;
      const share = total > 0 ? done / total : 1;
      const speed = rate > 0 ? `, ${formatBytes(rate)}/s, ${formatSeconds((total - done) / rate)} left` : "";
      const line = `${Math.floor(100 * share)} % of ${formatBytes(total)}${speed}, ${path}`;
      if (!terminal) return write(`${line}\n`);
      const filled = "#".repeat(Math.round(barWidth * share)).padEnd(barWidth, ".");
      write(`\r[${filled}] ${line.padEnd(width)}`);
      width = line.length;
      open = true;
    },
    end() {
      if (open) write("\n");
      open = false;
    },
  };
}

function formatSeconds(seconds: number): string {
  const whole = Math.ceil(seconds), minutes = Math.floor(whole / 60), hours = Math.floor(minutes / 60);
  if (hours > 0) return `${hours} h ${minutes % 60} min`;
  return minutes > 0 ? `${minutes} min ${whole % 60} s` : `${whole} s`;
}
