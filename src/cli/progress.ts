/** How far a picture is, on stderr: one line that fills up on a terminal, plain lines elsewhere. */

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
