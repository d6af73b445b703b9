import { deepStrictEqual, match, ok, strictEqual } from "node:assert/strict";
import { join } from "node:path";
import type { Report } from "../../src/parity/report.ts";
import { summarise } from "../../src/parity/report.ts";
import { type Finding, type ParityOptions, runParity } from "../../src/parity/run.ts";
import { names, oracle, writeSmallSet } from "./small_set.ts";

async function run(options: ParityOptions): Promise<Report> {
  const findings: Finding[] = [];
  for await (const finding of runParity(options)) findings.push(finding);
  return summarise(findings);
}

/** What the command prints, and what it exits with. */
async function command(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["task", "--quiet", "parity", ...args],
    cwd: join(import.meta.dirname!, "..", ".."),
  }).output();
  const decoder = new TextDecoder();
  return { code, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
}

async function withSmallSet(
  body: (folder: string) => Promise<void>,
  change: (fixture: string, tensor: string, data: Float32Array) => void = () => {},
): Promise<void> {
  const folder = Deno.makeTempDirSync();
  try {
    writeSmallSet(folder, change);
    await body(folder);
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
}

interface Index {
  cases: { scheduler?: string }[];
}

function casesOf(path: string): number {
  const index: Index = JSON.parse(Deno.readTextFileSync(join(oracle, `${path}.json`)));
  return index.cases.length;
}

/** Rows of every kind and how many cases each must have in each precision. */
const nets = (component: string, ...models: string[]) =>
  models.reduce((sum, model) => sum + casesOf(`goldens/${model}/${component}`), 0);
const pictures = casesOf("goldens/e2e/index") + casesOf("goldens-tiny/index");
const expected: Record<string, { cases: number; dtypes: (string | undefined)[] }> = {
  "tokenizer": { cases: casesOf("goldens/tokenizer"), dtypes: [undefined] },
  "tokenizer_2": { cases: casesOf("goldens/tokenizer"), dtypes: [undefined] },
  "rng cpu": { cases: casesOf("rng/torch_cpu_randn"), dtypes: [undefined] },
  "hash weights": { cases: 5, dtypes: [undefined] },
  "schedulers": { cases: casesOf("goldens/schedulers"), dtypes: [undefined] },
  "schedulers on the GPU": { cases: casesOf("goldens/schedulers"), dtypes: [undefined] },
  "text encoder": { cases: nets("text_encoder", "tiny-sd15", "tiny-sd21"), dtypes: ["f32", "f16"] },
  "U-Net": { cases: nets("unet", "tiny-sd15", "tiny-sd15-inpaint", "tiny-lcm", "tiny-sd21"), dtypes: ["f32", "f16"] },
  "VAE encode": { cases: nets("vae", "tiny-sd15"), dtypes: ["f32", "f16"] },
  "VAE decode": { cases: nets("vae", "tiny-sd15"), dtypes: ["f32", "f16"] },
  // Those of one picture; the third is of two.
  "VAE encode in bands": { cases: nets("vae", "tiny-sd15") - 1, dtypes: ["f32", "f16"] },
  "VAE decode in bands": { cases: nets("vae", "tiny-sd15") - 1, dtypes: ["f32", "f16"] },
  "picture latents": { cases: pictures, dtypes: ["f32", "f16"] },
  "picture decode": { cases: pictures, dtypes: ["f32", "f16"] },
  "picture PNG, mean": { cases: pictures, dtypes: ["f32", "f16"] },
  "picture PNG, largest": { cases: pictures, dtypes: ["f32", "f16"] },
};

let whole: Promise<Report> | undefined;

for (const [group, { cases, dtypes }] of Object.entries(expected)) {
  for (const dtype of dtypes) {
    Deno.test(`${group}${dtype ? ` in ${dtype}` : ""} agrees with the reference in all ${cases} cases`, async () => {
      const { rows, failed } = await (whole ??= run({ folder: oracle }));
      const own = rows.filter((row) => row.group === group && row.dtype === dtype);
      strictEqual(own.reduce((sum, row) => sum + row.cases, 0), cases);
      deepStrictEqual(own.filter((row) => !row.ok), []);
      deepStrictEqual(failed.filter(({ message }) => message.startsWith(group)), []);
    });
  }
}

Deno.test("everything that tests/oracle has is compared, but for what is named with its reason", async () => {
  const { rows, failed, skipped, passed } = await (whole ??= run({ folder: oracle }));
  ok(passed);
  deepStrictEqual(failed, []);
  deepStrictEqual([...new Set(rows.map(({ group }) => group))].sort(), Object.keys(expected).sort());
  const named = skipped.flatMap(({ cases }) => cases).sort();
  deepStrictEqual(named, ["bad"]);
});

Deno.test("parity of a folder with other names prints one JSON object, names what it skips and exits with 0", async () => {
  await withSmallSet(async (folder) => {
    const { code, stdout, stderr } = await command(folder, "--dtype", "f32", "--full", "--json");
    strictEqual(code, 0, stdout + stderr);
    strictEqual(stdout.trim().split("\n").length, 1);
    const { passed, rows, skipped }: Report = JSON.parse(stdout);
    ok(passed);
    deepStrictEqual(Object.fromEntries(rows.map(({ group, cases }) => [group, cases])), {
      "text encoder": 2,
      "picture latents": 1,
      "picture PNG, mean": 1,
      "picture PNG, largest": 1,
      "picture decode": 1,
      "U-Net": 1,
    });
    deepStrictEqual(skipped, [{
      reason: "there is no sampler for LoudScheduler",
      cases: [`${names.pictures}/${names.unsupported}`],
    }]);
  });
});

Deno.test("parity with one wrong golden number prints a table with FAIL, names its case and exits with 1", async () => {
  const perturb = (fixture: string, tensor: string, data: Float32Array) => {
    if (fixture.endsWith("/t") && tensor === "1/last_hidden_state") data[100] += 1;
  };
  await withSmallSet(async (folder) => {
    const { code, stdout } = await command(folder, "--dtype", "f32", "--only", "text_encoder");
    strictEqual(code, 1, stdout);
    match(stdout, /^text encoder +f32 +2 .* FAIL +\S.*text_encoder\/1 last_hidden_state$/m);
    match(stdout, /^Failed:\n {2}.*text_encoder\/1 f32: text encoder, last_hidden_state: \S+, tolerance 1\.0e-4$/m);
    match(stdout, /1 failed, [\d.]+ s$/m);
  }, perturb);
});

Deno.test("parity with a golden that is not a number fails", async () => {
  const perturb = (fixture: string, tensor: string, data: Float32Array) => {
    if (fixture.endsWith("/t") && tensor === "0/penultimate") data[0] = NaN;
  };
  await withSmallSet(async (folder) => {
    const report = await run({ folder, precision: "f32", only: "text_encoder/0" });
    ok(!report.passed);
    deepStrictEqual(report.rows.map(({ worst, ok }) => [worst, ok]), [[null, false]]);
  }, perturb);
});

Deno.test("parity says why it skips a model that is nowhere, and does not pass when nothing else was compared", async () => {
  await withSmallSet(async (folder) => {
    Deno.removeSync(join(folder, "manifests"), { recursive: true });
    const { passed, skipped } = await run({ folder, precision: "f32", only: "text_encoder" });
    ok(!passed);
    match(skipped[0].reason, /^there is no model folder or manifest of somebody's model; --models DIR says/);
    strictEqual(skipped[0].cases.length, 2);
  });
});

Deno.test("parity fails a case that breaks, and still runs the others", async () => {
  await withSmallSet(async (folder) => {
    const path = join(folder, "goldens", names.model, "text_encoder.json");
    const index = JSON.parse(Deno.readTextFileSync(path));
    index.cases[0].last_hidden_state = "no such tensor";
    Deno.writeTextFileSync(path, JSON.stringify(index));
    const { failed, rows } = await run({ folder, precision: "f32", only: "text_encoder" });
    match(failed[0].message, /Cannot read tensor "no such tensor"/);
    ok(rows[0].ok && rows[0].cases >= 1);
  });
});

Deno.test("parity refuses a folder without goldens, an option it does not have and a name that no case has", async () => {
  const empty = Deno.makeTempDirSync();
  try {
    const runs = [
      { args: [empty], exit: 1, says: /^Cannot compare with \S+: it has none of goldens/m },
      { args: ["--dtype", "f8"], exit: 2, says: /^Cannot use --dtype "f8", f32 or f16 would do$/m },
      { args: ["--nonsense"], exit: 2, says: /--nonsense/ },
      { args: [oracle, "--only", "unicorn"], exit: 1, says: /^No case of \S+ has "unicorn" in its name$/m },
    ];
    for (const { args, exit, says } of runs) {
      const { code, stderr } = await command(...args);
      match(stderr, says);
      strictEqual(code, exit);
    }
  } finally {
    Deno.removeSync(empty);
  }
});
