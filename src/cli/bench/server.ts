/** What a client waits for: the first picture of a fresh process, and the server's thread while a picture is made. */
import { createEngine } from "../../engine/client.ts";
import { median, percentile, type Result, timed } from "./measure.ts";

const root = new URL("../../../", import.meta.url);

/**
 * From the start of the process to the end of its first picture: with the driver's shader cache empty, and then full.
 * The cache is a folder of its own, so that the user's stays as it is; only Mesa's drivers know the variable. `empty` is
 * called before a cold run, to empty other caches as well.
 */
export async function benchFirstPicture(
  model: string,
  runs: number,
  { empty = () => Promise.resolve(false) }: { empty?: () => Promise<boolean> } = {},
): Promise<Result[]> {
  const cold: number[] = [], warm: number[] = [];
  for (let run = 0; run < runs; run++) {
    const cache = await Deno.makeTempDir();
    try {
      await empty();
      cold.push(await timed(() => generate(model, cache)));
      warm.push(await timed(() => generate(model, cache)));
    } finally {
      await Deno.remove(cache, { recursive: true });
    }
  }
  return [{ what: "process start to picture, shaders cached", ms: warm, peers: [{ name: "not cached", ms: cold }] }];
}

async function generate(model: string, cache: string): Promise<void> {
  const out = await Deno.makeTempFile({ suffix: ".png" });
  const task = ["task", "--quiet", "generate", "a red circle on a blue background", "--model", model, "-o", out];
  const env = { MESA_SHADER_CACHE_DIR: cache };
  const { success, stderr } = await new Deno.Command(Deno.execPath(), { args: task, cwd: root, env }).output();
  await Deno.remove(out);
  if (!success) throw new Error(`The picture failed: ${new TextDecoder().decode(stderr).trim()}`);
}

/** How long the server's thread is deaf while the Worker makes `pictures` pictures: gaps of a 1 ms timer. */
export async function benchEventLoop(model: string, gpu: string | undefined, pictures: number): Promise<Result[]> {
  const engine = createEngine({ model, gpu });
  const { model: { defaults } } = await engine.ready;
  const gaps: number[] = [];
  let last = performance.now();
  const timer = setInterval(() => {
    const now = performance.now();
    gaps.push(now - last);
    last = now;
  }, 1);
  for (let picture = 0; picture < pictures; picture++) {
    const request = {
      prompt: "a yellow star on a black background",
      negativePrompt: "",
      ...defaults,
      steps: 20,
      sampler: "dpmpp_2m" as const,
      scheduler: "automatic" as const,
      seed: picture,
      rng: "nv" as const,
      eta: 0,
      strength: 1,
    };
    for await (const _ of engine.generate(`${picture}`, request, new AbortController().signal)) { /* dropped */ }
  }
  clearInterval(timer);
  engine.close();
  const summary = `median ${median(gaps).toFixed(1)} ms, 99 % under ${percentile(gaps, 0.99).toFixed(1)} ms`;
  return [{
    what: `longest gap of the server's event loop over ${pictures} pictures (${summary})`,
    ms: [Math.max(...gaps)],
  }];
}
