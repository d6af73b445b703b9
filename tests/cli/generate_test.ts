import assert from "node:assert/strict";
import { fieldFlags } from "../../src/cli/generate.ts";
import { showDownload, showProgress } from "../../src/cli/progress.ts";
import { fieldsOf } from "../../src/engine/request.ts";
import { info } from "../server/fake_engine.ts";

Deno.test("every field of a request is a flag; the prompt stands alone, the model is the command's own, and nothing is kept or previewed", () => {
  assert.deepEqual(
    ["prompt", ...fieldFlags, "model", "keep_alive", "previews"].toSorted(),
    Object.keys(fieldsOf(info)).toSorted(),
  );
});

Deno.test("showProgress() fills one line on a terminal and writes plain lines elsewhere", () => {
  const shown = (terminal: boolean) => {
    let text = "";
    const progress = showProgress({ terminal, write: (more) => text += more });
    progress.step(1, 2, 1234);
    progress.step(2, 2, 1000);
    progress.end();
    progress.end();
    return text;
  };
  const [half, full] = ["#".repeat(15) + ".".repeat(15), "#".repeat(30)];
  assert.equal(shown(true), `\r[${half}] 1/2, 1.23 s a step \r[${full}] 2/2, 1.00 s a step \n`);
  assert.equal(shown(false), "step 1/2, 1.23 s a step\nstep 2/2, 1.00 s a step\n");
});

Deno.test("showDownload() tells the share, and the rate of what has arrived lately, not of what lay there", () => {
  const shown = (terminal: boolean) => {
    let text = "", seconds = 0;
    const progress = showDownload({ terminal, write: (more) => text += more, now: () => 1000 * seconds });
    const update = (at: number, done: number, received: number) => {
      seconds = at;
      progress.update({ path: "unet", done: done * 1e6, received: received * 1e6, total: 100e6 });
    };
    update(0, 50, 0);
    update(1, 60, 10);
    update(1.1, 61, 11); // too soon for a line
    update(20, 62, 12);
    update(21, 100, 50);
    progress.end();
    return text;
  };
  const bar = (share: number) => "#".repeat(Math.round(share * 30)).padEnd(30, ".");
  assert.equal(
    shown(true),
    `\r[${bar(0.6)}] 60 % of 100.0 MB, 10.0 MB/s, 4 s left, unet` +
      `\r[${bar(0.62)}] 62 % of 100.0 MB, 52.9 kB/s, 11 min 59 s left, unet` +
      `\r[${bar(1)}] 100 % of 100.0 MB, 2.0 MB/s, 0 s left, unet        \n`,
  );
  assert.equal(
    shown(false),
    "62 % of 100.0 MB, 52.9 kB/s, 11 min 59 s left, unet\n100 % of 100.0 MB, 2.0 MB/s, 0 s left, unet\n",
  );
});
