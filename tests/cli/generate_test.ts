import assert from "node:assert/strict";
import { fieldFlags } from "../../src/cli/generate.ts";
import { showProgress } from "../../src/cli/progress.ts";
import { fieldsOf } from "../../src/engine/request.ts";
import { info } from "../server/fake_engine.ts";

Deno.test("every field of a request is a flag; the prompt stands alone and the model is the command's own", () => {
  assert.deepEqual(["prompt", ...fieldFlags, "model"].toSorted(), Object.keys(fieldsOf(info)).toSorted());
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
