/** What the tests of downloads share: a published model, a hub that has it, and an empty folder of models. */
import { join } from "node:path";
import { chooseWeights } from "../../src/checkpoint/folder.ts";
import { Hub } from "../../src/hub/client.ts";
import type { Patience } from "../../src/hub/download.ts";
import { pull, type PullOptions } from "../../src/hub/pull.ts";
import { FakeHub, type Faults } from "./fake_hub.ts";

export const text = (value: string) => new TextEncoder().encode(value);
const tiny = new URL("../../weights/tiny/", import.meta.url);
const read = (path: string) => Deno.readFileSync(new URL(path, tiny));
export const noise = (length: number, seed: number) =>
  Uint8Array.from({ length }, (_, i) => (i * 167 + seed + (i >> 7)) & 255);

export const unet = "unet/diffusion_pytorch_model", unetHalf = `${unet}.fp16.safetensors`;

/** The embedded model as others are published, with much beside it that no pipeline needs. */
export const published: Record<string, Uint8Array<ArrayBuffer>> = {
  "README.md": text("# A model"),
  "model_index.json": text(JSON.stringify({
    ...JSON.parse(new TextDecoder().decode(read("model_index.json"))),
    safety_checker: ["stable_diffusion", "StableDiffusionSafetyChecker"],
    feature_extractor: ["transformers", "CLIPFeatureExtractor"],
    image_encoder: [null, null],
  })),
  "v1-5-pruned.ckpt": noise(1000, 1),
  "v1-5-pruned.safetensors": noise(1000, 2),
  "feature_extractor/preprocessor_config.json": text("{}"),
  "safety_checker/config.json": text("{}"),
  "safety_checker/model.safetensors": noise(1000, 3),
  "scheduler/scheduler_config.json": read("scheduler/scheduler_config.json"),
  ...Object.fromEntries(
    ["vocab.json", "merges.txt", "tokenizer_config.json", "special_tokens_map.json"].map((name) => [
      `tokenizer/${name}`,
      read(`tokenizer/${name}`),
    ]),
  ),
  "tokenizer/tokenizer.json": text("{}"),
  "text_encoder/config.json": read("text_encoder/config.json"),
  "text_encoder/model.fp16.safetensors": read("text_encoder/model.safetensors"),
  "text_encoder/model.safetensors": noise(2000, 4),
  "text_encoder/pytorch_model.bin": noise(2000, 5),
  "unet/config.json": read("unet/config.json"),
  "unet/onnx/model.onnx": noise(100, 6),
  [`${unet}.bin`]: noise(2000, 7),
  [unetHalf]: read(`${unet}.safetensors`),
  [`${unet}.non_ema.safetensors`]: noise(2000, 8),
  [`${unet}.safetensors`]: noise(3000, 9),
  "vae/config.json": read("vae/config.json"),
  "vae/diffusion_pytorch_model.safetensors": read("vae/diffusion_pytorch_model.safetensors"),
};

export const needed = [
  "model_index.json",
  "scheduler/scheduler_config.json",
  "text_encoder/config.json",
  "text_encoder/model.fp16.safetensors",
  "tokenizer/merges.txt",
  "tokenizer/special_tokens_map.json",
  "tokenizer/tokenizer_config.json",
  "tokenizer/vocab.json",
  "unet/config.json",
  unetHalf,
  "vae/config.json",
  "vae/diffusion_pytorch_model.safetensors",
];

export interface Bench {
  hub: FakeHub;
  modelsDir: string;
  pull(options?: Partial<PullOptions> & { token?: string }): Promise<string>;
}

export const hasty: Patience = { pauses: [0, 0], stallMs: 5000 };

/** Runs `body` with a hub that has `files` and an empty folder of models. */
export async function withHub(faults: Faults, body: (bench: Bench) => Promise<void>, files = published): Promise<void> {
  const modelsDir = Deno.makeTempDirSync();
  await using hub = new FakeHub(files, faults);
  try {
    await body({
      hub,
      modelsDir,
      pull: ({ token, ...options } = {}) =>
        pull({
          hub: new Hub({ endpoint: hub.endpoint, token }),
          name: "owner/name",
          modelsDir,
          weights: (names) => chooseWeights(names, "f16"),
          patience: hasty,
          ...options,
        }),
    });
  } finally {
    Deno.removeSync(modelsDir, { recursive: true });
  }
}

/** Paths of all files below `folder`. */
export function filesIn(folder: string, below = ""): string[] {
  return [...Deno.readDirSync(join(folder, below))].flatMap(({ name, isDirectory }) =>
    isDirectory ? filesIn(folder, join(below, name)) : [join(below, name)]
  ).toSorted();
}
