import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { openCheckpoint } from "../../src/checkpoint/safetensors.ts";
import { writeSafetensors } from "../../src/checkpoint/write.ts";
import { openFolder } from "../../src/checkpoint/folder.ts";
import { contextAt, type EncodeChunks, encodePrompts, planPrompt, tokensPlan } from "../../src/engine/conditioning.ts";
import { Embeddings } from "../../src/engine/embeddings.ts";
import { createBackend, openStableDiffusion } from "../../src/engine/model.ts";
import { Pipeline } from "../../src/engine/pipeline.ts";
import { encodeChunks } from "../../src/engine/step_text.ts";
import { openDevice } from "../../src/gpu/device.ts";
import { materialised } from "../../src/parity/materialise.ts";
import { loadTokenizer } from "../../src/tokenizer/clip.ts";

interface Case {
  name: string;
  prompt: string;
  steps: number;
  calls: number[];
  clip_skip?: number;
  weights: number[];
}

const path = (name: string) => new URL(`../oracle/${name}`, import.meta.url).pathname;
const cases: Case[] = JSON.parse(Deno.readTextFileSync(path("prompt/conditioning.json")));
const goldens = openCheckpoint(path("prompt/conditioning.safetensors"), { map: false });
const tokenizer = loadTokenizer(path("models/tokenizer"));

const device = await openDevice();
const folder = openFolder(materialised(path("manifests/tiny-sd15.json")));
const model = openStableDiffusion(createBackend(device, "f32"), folder, { name: "tiny-sd15" });
const pipeline = new Pipeline(model);
const { hidden_size: width } = model.textEncoder.config;
Deno.test.afterAll(() => {
  for (const made of [pipeline, model, device]) made[Symbol.dispose]();
});

const encode: EncodeChunks = (chunks, options) =>
  encodeChunks(pipeline.canvas({ images: 1, height: 64, width: 64 }), chunks, options);

/** A folder with the goldens' words as files: one as A1111 writes it, one as diffusers does. */
function embeddings(): string {
  const folder = Deno.makeTempDirSync();
  const word = (name: string, key: string, shape: number[]) => {
    const values = goldens.floats(`words/${name}`);
    writeSafetensors(`${folder}/${name}.safetensors`, new Map([[key, { dtype: "f32", shape, data: () => values }]]));
  };
  word("myword", "emb_params", [3, width]);
  word("zebra9", "<zebra9>", [width]);
  return folder;
}

for (const { name, prompt, steps, calls, clip_skip = 1, weights } of cases) {
  Deno.test(`conditioning of the case “${name}” is A1111's at model calls ${calls}`, async () => {
    const words = embeddings();
    try {
      const embedded = new Embeddings([words], { width, tokens: (text) => tokenizer.tokens(text) }).words();
      const plan = planPrompt(prompt, tokenizer, { calls: steps, skip: clip_skip - 1, embedded });
      const [{ parts }] = await encodePrompts([plan], encode);
      deepStrictEqual(parts.map(({ weight }) => weight), weights);
      for (const call of calls) {
        const golden = goldens.floats(`${name}/${call}`), size = golden.length / parts.length;
        for (const [i, { schedule }] of parts.entries()) {
          const { states, tokens } = contextAt(schedule, call), expected = golden.subarray(i * size, (i + 1) * size);
          deepStrictEqual([states.length, tokens], [size, size / width]);
          const error = Math.hypot(...states.map((v, j) => v - expected[j])) / Math.hypot(...expected);
          ok(error < 1e-4, `call ${call}, part ${i}: ${error}`);
        }
      }
    } finally {
      Deno.removeSync(words, { recursive: true });
    }
  });
}

Deno.test("a prompt without syntax is conditioned alike by both ways to read it, to the bit", async () => {
  const prompt = "a photo of a red cat, by the sea";
  const plans = (["a1111", "plain"] as const).map((syntax) => planPrompt(prompt, tokenizer, { syntax, calls: 9 }));
  const [a, b] = await encodePrompts(plans, encode);
  deepStrictEqual(contextAt(a.parts[0].schedule, 0).states, contextAt(b.parts[0].schedule, 0).states);
  strictEqual(contextAt(a.parts[0].schedule, 0).tokens, 77);
});

Deno.test("plain prompts keep their brackets and are cut at 77 tokens; with a1111 nothing is cut", () => {
  const long = "(cat) ".repeat(100);
  const plain = planPrompt(long, tokenizer, { syntax: "plain", calls: 1 }),
    read = planPrompt(long, tokenizer, { calls: 1 });
  deepStrictEqual(
    plain.parts[0].schedule[0].chunks,
    tokensPlan(tokenizer.encode(long).ids).parts[0].schedule[0].chunks,
  );
  ok(plain.truncated > 200);
  deepStrictEqual([read.truncated, read.parts[0].schedule[0].chunks.length], [0, 2]);
});

Deno.test("what prompts have in common is encoded once", async () => {
  const plan = (prompt: string) => planPrompt(prompt, tokenizer, { calls: 20 });
  let chunks = 0;
  const counted: EncodeChunks = (all, options) => {
    chunks += all.length;
    return encode(all, options);
  };
  const same = plan("[a|b] cat");
  await encodePrompts([same, same, plan("a cat"), plan("(a:1.5) cat")], counted);
  strictEqual(chunks, 2);
});

Deno.test("files that are no words of this text encoder are passed over, said once, and read again when they change", () => {
  const folder = Deno.makeTempDirSync(), lines: string[] = [];
  try {
    const write = (name: string, shape: number[], tensors = 1) =>
      writeSafetensors(
        `${folder}/${name}.safetensors`,
        new Map(Array.from({ length: tensors }, (_, i) => {
          const size = shape.reduce((a, b) => a * b, 1);
          return [`t${i}`, { dtype: "f32" as const, shape, data: () => new Float32Array(size) }];
        })),
      );
    const found = new Embeddings([folder, `${folder}/none`], {
      width,
      tokens: (text) => tokenizer.tokens(text),
      log: (line) => lines.push(line),
    });
    write("wide", [2, width + 1]);
    write("two", [width], 2);
    write("long", [76, width]);
    Deno.writeTextFileSync(`${folder}/broken.safetensors`, "no");
    Deno.writeTextFileSync(`${folder}/other.txt`, "no");
    write("good", [2, width]);
    for (let i = 0; i < 2; i++) {
      deepStrictEqual(found.words().map(({ name, vectors }) => [name, vectors]), [["good", 2]]);
    }
    strictEqual(lines.length, 4);
    write("good", [3, width]);
    deepStrictEqual(found.words().map(({ vectors }) => vectors), [3]);
    Deno.removeSync(`${folder}/good.safetensors`);
    deepStrictEqual(found.words(), []);
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
});
