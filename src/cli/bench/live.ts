/** How soon a server answers that it lives while the steps of a picture run: over HTTP, with all of the server between. */
import { basename, resolve } from "node:path";
import { median, percentile, type Result } from "./measure.ts";
import { withServer } from "./served.ts";

/** Between an answer and the next question. */
const pauseMs = 10;

export interface LiveOptions {
  model: string;
  gpu?: string;
  /** Side of the picture, instead of the model's own size: its kernels are compiled before anything is measured. */
  side?: number;
  steps: number;
}

/** Starts a server, has it make a picture, and asks it for `/health/live` from the first step's beginning to the last one's end. */
export async function benchLive({ model, gpu, side, steps }: LiveOptions): Promise<Result[]> {
  const folder = side === undefined ? undefined : sized(model, side);
  try {
    return await withServer({ model: folder ?? model, gpu }, async (url) => {
      const answers = await ask(url, steps);
      const { model: { defaults } } = await (await fetch(`${url}/health/ready`)).json();
      const summary = `${answers.length} answers, median ${median(answers).toFixed(1)} ms, slowest ${
        Math.max(...answers).toFixed(1)
      } ms`;
      const size = `${defaults.width}×${defaults.height}`;
      return [{
        what: `/health/live while steps at ${size} run, 99 % within (${summary})`,
        ms: [percentile(answers, 0.99)],
      }];
    });
  } finally {
    if (folder) await Deno.remove(resolve(folder, ".."), { recursive: true });
  }
}

/** Milliseconds of each answer while a picture's steps run. */
async function ask(url: string, steps: number): Promise<number[]> {
  const fields = new URLSearchParams({ prompt: "a boat on the sea", steps: `${steps}`, seed: "1", format: "sse" });
  const response = await fetch(`${url}/generate?${fields}`);
  if (!response.ok) throw new Error(`The picture failed: ${await response.text()}`);
  const answers: number[] = [];
  let news = "", asking: Promise<void> | undefined, isOver = false;
  const askAgain = async () => {
    while (!isOver) {
      const began = performance.now();
      await (await fetch(`${url}/health/live`)).bytes();
      answers.push(performance.now() - began);
      await new Promise((resolve) => setTimeout(resolve, pauseMs));
    }
  };
  for await (const piece of response.body!) {
    news += new TextDecoder().decode(piece);
    if (news.includes("event: started")) asking ??= askAgain();
    isOver ||= news.split("event: progress").length > steps;
  }
  isOver = true;
  await asking;
  if (!news.includes("event: done")) throw new Error(`The picture failed: ${news.slice(-200)}`);
  return answers;
}

/** The model with another size of its own, in a folder to be removed with the one it is in. */
function sized(model: string, side: number): string {
  const folder = `${Deno.makeTempDirSync()}/${basename(model)}`;
  Deno.mkdirSync(folder);
  for (const { name } of Deno.readDirSync(model)) Deno.symlinkSync(resolve(model, name), `${folder}/${name}`);
  Deno.writeTextFileSync(`${folder}/defaults.json`, JSON.stringify({ width: side, height: side }));
  return folder;
}
