/** How soon a server answers that it lives while the steps of a picture run: over HTTP, with all of the server between. */
import { basename, resolve } from "node:path";
import { median, percentile, type Result } from "./measure.ts";

const root = new URL("../../../", import.meta.url);
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
  const command = new Deno.Command(Deno.execPath(), {
    args: ["task", "--quiet", "serve", "--port", "0", "--model", folder ?? model, ...gpu ? ["--gpu", gpu] : []],
    cwd: root,
    stdout: "piped",
    stderr: "null",
  });
  const server = command.spawn();
  try {
    const url = await addressOf(server.stdout), answers = await ask(url, steps);
    const { model: { defaults } } = await (await fetch(`${url}/health/ready`)).json();
    const summary = `${answers.length} answers, median ${median(answers).toFixed(1)} ms, slowest ${
      Math.max(...answers).toFixed(1)
    } ms`;
    const size = `${defaults.width}×${defaults.height}`;
    return [{
      what: `/health/live while steps at ${size} run, 99 % within (${summary})`,
      ms: [percentile(answers, 0.99)],
    }];
  } finally {
    server.kill("SIGTERM");
    await server.status;
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

/** The first address that a server writes; what it writes later is passed over. */
async function addressOf(out: ReadableStream<Uint8Array>): Promise<string> {
  const found = Promise.withResolvers<string>();
  (async () => {
    let text = "";
    for await (const piece of out) {
      text += new TextDecoder().decode(piece);
      const url = /http:\/\/[^,\s"]+/.exec(text)?.[0];
      if (url) found.resolve(url);
    }
    found.reject(new Error(`The server did not start: ${text.trim()}`));
  })();
  return await found.promise;
}

/** The model with another size of its own, in a folder to be removed with the one it is in. */
function sized(model: string, side: number): string {
  const folder = `${Deno.makeTempDirSync()}/${basename(model)}`;
  Deno.mkdirSync(folder);
  for (const { name } of Deno.readDirSync(model)) Deno.symlinkSync(resolve(model, name), `${folder}/${name}`);
  Deno.writeTextFileSync(`${folder}/defaults.json`, JSON.stringify({ width: side, height: side }));
  return folder;
}
