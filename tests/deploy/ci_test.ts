import { strictEqual } from "node:assert/strict";
import { type Outcome, Project } from "./project.ts";

/** Runs `.ci/run` with a stand-in for Deno whose `check` and `test` tasks print and exit as told. */
function ci(check: string, test: string): Outcome {
  using project = new Project();
  project.link("dirname", "sed", "id", "ls", "mkdir", "mktemp", "sh", "tee", "grep", "tail", "rm");
  project.program(
    "deno",
    `case "$*" in
       --version) echo "deno 2.9.6 (stable)" ;;
       *check) ${check} ;;
       *test) ${test} ;;
     esac`,
  );
  return project.run("/bin/bash", ["../.ci/run"]);
}

const lastLine = (outcome: Outcome) => outcome.stdout.trimEnd().split("\n").at(-1);

Deno.test(".ci/run ends with Deno's own counts, steps and ignored tests aside", () => {
  const outcome = ci(
    "exit 0",
    "echo 'some test ... ok (3ms)'; echo 'ok | 12 passed (5 steps) | 0 failed | 3 ignored (3s)'",
  );
  strictEqual(
    outcome.stdout,
    "some test ... ok (3ms)\nok | 12 passed (5 steps) | 0 failed | 3 ignored (3s)\n12 passed, 0 failed\n",
  );
  strictEqual(outcome.code, 0);
});

Deno.test(".ci/run fails when a test fails", () => {
  const outcome = ci("exit 0", "echo 'FAILED | 10 passed | 2 failed (1 step) (3s)'; exit 1");
  strictEqual(lastLine(outcome), "10 passed, 2 failed");
  strictEqual(outcome.code, 1);
});

Deno.test(".ci/run counts a failed check as a failure and still runs the tests", () => {
  const outcome = ci("echo 'error: Found 1 not formatted file'; exit 1", "echo 'ok | 7 passed | 0 failed (1s)'");
  strictEqual(lastLine(outcome), "7 passed, 1 failed");
  strictEqual(outcome.code, 1);
});

Deno.test(".ci/run fails when the tests end without a summary", () => {
  const outcome = ci("exit 0", "echo 'error: Type checking failed.' >&2; exit 1");
  strictEqual(lastLine(outcome), "0 passed, 1 failed");
  strictEqual(outcome.code, 1);
});

Deno.test(".ci/run fails when no test ran, and when Deno fails although every test passed", () => {
  const none = ci("exit 0", "echo 'ok | 0 passed | 0 failed (1ms)'");
  strictEqual(lastLine(none), "0 passed, 1 failed");
  strictEqual(none.code, 1);
  const crash = ci("exit 0", "echo 'ok | 4 passed | 0 failed (1ms)'; exit 134");
  strictEqual(lastLine(crash), "4 passed, 1 failed");
  strictEqual(crash.code, 1);
});
