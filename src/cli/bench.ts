/** `deno task bench`: medians, and ratios to a peer measured in the same run. */
import { parseArgs } from "node:util";
import { Engine } from "../engine/engine.ts";
import { profile } from "../graph/profile.ts";
import { printResults, type Result } from "./bench/measure.ts";
import { benchPictures, make } from "./bench/pictures.ts";
import { benchEventLoop, benchFirstPicture } from "./bench/server.ts";

const help = `Usage: deno task bench [--model DIR] [--gpu INDEX|NAME] [--runs N] [--only TEXT] [--profile]

  --model DIR   model folder (default: weights/tiny)
  --gpu         adapter by index or part of its name
  --runs N      counted runs of each measurement (default: 5)
  --only TEXT   first, pictures or loop: only that
  --profile     where the time of a step and of the decoder goes, by kernel and workgroups
`;

/** The picture's two plans by kernel: time, share, rates. */
async function printProfile(model: string, gpu: string | undefined, runs: number): Promise<void> {
  using engine = await Engine.open({ model, gpu, log: console.error });
  await make(engine, { steps: 1 });
  const { width, height } = engine.info.model.defaults;
  const canvas = engine.canvas({ images: 1, height, width });
  for (const [name, plan] of Object.entries({ "guided step": canvas.step(2), decode: canvas.decode() })) {
    const rows = await profile(plan, runs), total = rows.reduce((sum, { ms }) => sum + ms, 0);
    console.log(
      `\n${name}, ${width}×${height}: ${plan.report.dispatches} dispatches, ${
        total.toFixed(0)
      } ms one kernel at a time`,
    );
    console.log("| ms | share | count | GFLOP/s | GB/s | workgroups | kernel |\n|---|---|---|---|---|---|---|");
    for (const { label, workgroups, count, ms, gflops, gbytes } of rows) {
      const share = `${(100 * ms / total).toFixed(1)} %`;
      console.log(
        `| ${ms.toFixed(2)} | ${share} | ${count} | ${gflops.toFixed(1)} | ${
          gbytes.toFixed(1)
        } | ${workgroups} | ${label} |`,
      );
    }
  }
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      model: { type: "string", default: new URL("../../weights/tiny", import.meta.url).pathname },
      gpu: { type: "string" },
      runs: { type: "string", default: "5" },
      only: { type: "string", default: "" },
      profile: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  const { model, gpu, only } = values, runs = Number(values.runs);
  if (values.help) {
    console.log(help);
  } else if (!(Number.isInteger(runs) && runs > 0)) {
    console.error(`--runs is "${values.runs}", and must be a whole number from 1`);
    Deno.exit(2);
  } else if (values.profile) {
    await printProfile(model, gpu, runs);
  } else {
    const all: Record<string, () => Promise<Result[]>> = {
      first: () => benchFirstPicture(model, Math.min(runs, 3)),
      pictures: () => benchPictures(model, gpu, runs),
      loop: () => benchEventLoop(model, gpu, runs),
    };
    const results: Result[] = [];
    for (const [name, run] of Object.entries(all)) if (name.includes(only)) results.push(...await run());
    printResults(results);
  }
}
