import { deepStrictEqual, ok, rejects } from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { openFolder } from "../../src/checkpoint/folder.ts";
import { planPrompt, type PromptOptions } from "../../src/engine/conditioning.ts";
import { createBackend, openStableDiffusion } from "../../src/engine/model.ts";
import { Pipeline } from "../../src/engine/pipeline.ts";
import { openDevice } from "../../src/gpu/device.ts";
import { type Guidance, plainGuidance } from "../../src/engine/tasks.ts";
import { createTrajectory } from "../../src/samplers/mod.ts";
import { gaussian } from "../../src/tensor/random.ts";
import { loadTokenizer } from "../../src/tokenizer/clip.ts";

const device = await openDevice();
const folder = openFolder(fileURLToPath(new URL("../../weights/tiny", import.meta.url)));
const model = openStableDiffusion(createBackend(device, "f32"), folder, { name: "tiny" });
const tokenizer = loadTokenizer(folder.folder("tokenizer"), { padToken: folder.padToken });
const pipeline = new Pipeline(model);
Deno.test.afterAll(() => {
  for (const made of [pipeline, model, device]) made[Symbol.dispose]();
});

interface Asked extends Omit<PromptOptions, "calls"> {
  prompt: string;
  guidance?: Partial<Guidance>;
  negative?: string;
  guidanceScale?: number;
  steps?: number;
}

const side = 64;

/** Latents after each step. */
async function latents(
  { prompt, negative = "", guidanceScale = 3, steps = 1, guidance, ...options }: Asked,
): Promise<Float32Array[]> {
  const draw = gaussian({ seed: 1, rng: "nv", shape: [4, side / 8, side / 8] });
  const run = pipeline.denoise({
    images: 1,
    height: side,
    width: side,
    guidanceScale,
    guidance: { ...plainGuidance, ...guidance },
    conditional: [planPrompt(prompt, tokenizer, { ...options, calls: steps })],
    unconditional: [planPrompt(negative, tokenizer, { ...options, calls: steps, composed: false })],
    trajectory: createTrajectory("euler", {}, { steps }),
    noise: draw,
  });
  const states: Float32Array[] = [];
  const canvas = pipeline.canvas({ images: 1, height: side, width: side });
  for await (const _ of run) states.push(await (await canvas.start({ fromImage: false })).read("latents"));
  return states;
}

const one = async (asked: Asked) => (await latents(asked))[0];
const error = (found: Float32Array, expected: ArrayLike<number>) =>
  Math.hypot(...found.map((value, i) => value - expected[i])) / Math.hypot(...Array.from(expected));

/** After one Euler step latents are linear in the predictions, so guidance can be worked out from runs without any. */
async function guided(
  parts: [prompt: string, weight: number][],
  { negative = "", scale = 3 }: { negative?: string; scale?: number } = {},
): Promise<Float64Array> {
  const alone = (prompt: string) => one({ prompt, guidanceScale: 1 });
  const unconditional = await alone(negative), sum = Float64Array.from(unconditional);
  for (const [prompt, weight] of parts) {
    const conditional = await alone(prompt);
    for (const i of sum.keys()) sum[i] += scale * weight * (conditional[i] - unconditional[i]);
  }
  return sum;
}

const long = "a yellow star on a black background, ".repeat(12);
const expectations: [what: string, asked: Asked, parts: [string, number][], options?: { negative?: string }][] = [
  ["one prompt", { prompt: "a red circle" }, [["a red circle", 1]]],
  ["two prompts", { prompt: "a red circle AND a blue star" }, [["a red circle", 1], [" a blue star", 1]]],
  [
    "three with weights, one against the picture",
    { prompt: "a red circle :0.5 AND a blue star :0.75 AND a tree :-0.25" },
    [["a red circle", 0.5], [" a blue star", 0.75], [" a tree", -0.25]],
  ],
  ["a weight on a single prompt", { prompt: "a red circle :1.5" }, [["a red circle", 1.5]]],
  ["a prompt longer than the negative one", { prompt: long }, [[long, 1]]],
  [
    "a negative prompt longer than the prompt",
    { prompt: "a red circle", negative: long },
    [["a red circle", 1]],
    { negative: long },
  ],
  [
    "both, of one length beyond 77 tokens",
    { prompt: `${long} sea`, negative: long },
    [[`${long} sea`, 1]],
    { negative: long },
  ],
];
for (const [what, asked, parts, options] of expectations) {
  Deno.test(`guidance by ${what} is the weighted sum of the predictions' differences`, async () => {
    const found = await one(asked);
    ok(error(found, await guided(parts, options)) < 2e-5, `${error(found, await guided(parts, options))}`);
    ok(error(found, await one({ prompt: "", guidanceScale: 1 })) > 1e-3, "and the prompt is heard");
  });
}

Deno.test("a composed prompt is heard without guidance too, as with a scale of 1", async () => {
  const parts: [string, number][] = [["a red circle", 1], [" a blue star", 1]];
  const found = await one({ prompt: "a red circle AND a blue star", guidanceScale: 1 });
  ok(error(found, await guided(parts, { scale: 1 })) < 2e-5);
});

Deno.test("a composed prompt outside of the guided part of a run is its parts' weighted sum, and a longer one is itself", async () => {
  const guidance = { start: 1 };
  const [red, blue] = [
    await one({ prompt: "a red circle", guidanceScale: 1 }),
    await one({ prompt: " a blue star", guidanceScale: 1 }),
  ];
  const found = await one({ prompt: "a red circle :0.5 AND a blue star :0.75", guidance });
  ok(error(found, red.map((value, i) => value + 0.75 * (blue[i] - value))) < 2e-5);
  const alone = await one({ prompt: long, guidanceScale: 1 });
  ok(error(await one({ prompt: long, guidance }), alone) < 2e-5);
  ok(error(await one({ prompt: long }), alone) > 1e-3);
});

Deno.test("guidance that is rescaled and thresholded sees a composed prompt as it sees a single one", async () => {
  const guidance = { rescale: 0.7, threshold: 1 };
  // Half and half of one prompt, in two calls of the U-Net, is that prompt.
  const halves = await one({ prompt: "a red circle :0.5 AND a red circle:0.5", guidance });
  ok(error(halves, await one({ prompt: "a red circle", guidance })) < 2e-5);
  ok(error(halves, await one({ prompt: "a red circle" })) > 1e-4);
});

Deno.test("a scheduled prompt is each of its texts in its model calls, and the second from the one after `when`", async () => {
  const steps = 5,
    [scheduled, first] = [
      await latents({ prompt: "a [red circle:blue star:2]", steps }),
      await latents({ prompt: "a red circle", steps }),
    ];
  // Calls 0, 1 and 2 are not behind step 2: A1111 counts so.
  deepStrictEqual(scheduled.slice(0, 3), first.slice(0, 3));
  ok(error(scheduled[3], first[3]) > 1e-3);
  const negative = await latents({ prompt: "a red circle", negative: "[:blue star:2]", steps });
  deepStrictEqual(negative.slice(0, 3), first.slice(0, 3));
  ok(error(negative[3], first[3]) > 1e-4);
});

Deno.test("alternating texts take turns", async () => {
  const steps = 4, run = (prompt: string) => latents({ prompt, steps, guidanceScale: 1 });
  const [turns, a] = [await run("[red|blue] circle"), await run("red circle")];
  deepStrictEqual(turns.slice(0, 2), a.slice(0, 2)); // A1111's calls 0 and 1 are both in step 1
  ok(error(turns[2], a[2]) > 1e-4);
});

Deno.test("skipped layers, weights and what is done with them change the picture", async () => {
  const plain = await one({ prompt: "a (red:1.5) circle" });
  for (const options of [{ skip: 1 }, { emphasis: "no_norm" }, { emphasis: "ignore" }, { syntax: "plain" }] as const) {
    ok(error(await one({ prompt: "a (red:1.5) circle", ...options }), plain) > 1e-4, JSON.stringify(options));
  }
  deepStrictEqual(
    await one({ prompt: "a (red:1.5) circle", emphasis: "ignore" }),
    await one({ prompt: "a red circle", syntax: "plain" }),
  );
});

Deno.test("pictures are made together only where their prompts are composed alike", async () => {
  const plan = (prompt: string) => planPrompt(prompt, tokenizer, { calls: 1 });
  const draw = gaussian({ seed: 1, rng: "nv", shape: [8, side / 8, side / 8] });
  const run = pipeline.denoise({
    images: 2,
    height: side,
    width: side,
    guidanceScale: 3,
    conditional: [plan("a AND b"), plan("a")],
    unconditional: [plan(""), plan("")],
    trajectory: createTrajectory("euler", {}, { steps: 1 }),
    noise: draw,
  });
  await rejects(run.next(), { message: "Cannot make pictures together whose prompts are composed in different ways" });
});
