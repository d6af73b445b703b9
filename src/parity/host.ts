/** Cases that need no GPU: token ids, the noise of torch's generator, the hash rule. */
import { join } from "node:path";
import { gaussian } from "../tensor/random.ts";
import { elements, type Shape } from "../tensor/shape.ts";
import { ClipTokenizer } from "../tokenizer/clip.ts";
import { type Case, once } from "./cases.ts";
import { differing, type Measure, NotHere, TOLERANCES } from "./compare.ts";
import { fnv1a32, hash, normal, uniform, weights } from "./hash_weights.ts";
import { exists, type Fixture, type Goldens } from "./oracle.ts";

interface TokenCase {
  prompt: string;
  /** With start and end, however many they are. */
  ids: number[];
}

/**
 * Every prompt with every padding that the index names: `pad_token_id`, `pad_token_id_tokenizer_2`. The vocabulary is one
 * for all, in `models/tokenizer`.
 */
export function* tokenizerCases({ root, tokenizer }: Goldens): Generator<Case> {
  if (!tokenizer) return;
  const { cases, ...paddings } = tokenizer.index as { cases: TokenCase[] };
  for (const [key, pad] of Object.entries(paddings)) {
    const group = /^pad_token_id(?:_(.+))?$/.exec(key);
    if (!group) continue;
    const load = once(() => tokenizerWith(join(root, "models", "tokenizer"), Number(pad)));
    for (const [i, { prompt, ids }] of cases.entries()) {
      yield {
        id: `${tokenizer.id}/${group[1] ?? "tokenizer"}/${i}`,
        on: "host",
        *compare(): Generator<Measure> {
          const { ids: found, truncated } = load().encode(prompt), surplus = Math.max(0, ids.length - found.length);
          const padding = Array(Math.max(0, found.length - ids.length)).fill(pad);
          const golden = surplus ? [...ids.slice(0, found.length - 1), ids.at(-1)!] : [...ids, ...padding];
          const error = differing([...found, truncated], [...golden, surplus]);
          yield { group: group[1] ?? "tokenizer", error, tolerance: TOLERANCES.exact };
        },
      };
    }
  }
}

/** The tokenizer of the vocabulary in `folder` that pads with the id `pad`. */
function tokenizerWith(folder: string, pad: number): ClipTokenizer {
  if (!exists(folder)) throw new NotHere(`there is no vocabulary in ${folder}`);
  const vocab: Record<string, number> = JSON.parse(Deno.readTextFileSync(join(folder, "vocab.json")));
  const padToken = Object.keys(vocab).find((token) => vocab[token] === pad);
  return new ClipTokenizer({ vocab, merges: Deno.readTextFileSync(join(folder, "merges.txt")), padToken });
}

interface RandnCase {
  seed: string;
  shape: number[];
  /** The first and last six of each draw; all of a shorter one, twice. */
  first: number[];
  second: number[];
}

/** Two draws of each seed and shape: the largest difference of any normal. */
export function* rngCases({ rng }: Goldens): Generator<Case> {
  for (const { id, index } of rng) {
    for (const { seed, shape, first, second } of draws(index.cases)) {
      yield {
        id: `${id}/${seed}/${shape.join("x")}`,
        on: "host",
        *compare(): Generator<Measure> {
          const draw = gaussian({ seed: BigInt(seed), rng: "cpu", shape });
          const found = [draw(), draw()].flatMap((values) => [...values.slice(0, 6), ...values.slice(-6)]);
          const error = Math.max(...[...first, ...second].map((golden, i) => Math.abs(found[i] - golden)));
          yield { group: "rng cpu", error, tolerance: TOLERANCES.normals };
        },
      };
    }
  }
}

/** The cases of a fixture of draws; other vectors of random numbers are for tests alone. */
function draws(cases: unknown): RandnCase[] {
  return Array.isArray(cases) && cases.every((one) => "first" in one) ? cases : [];
}

interface Stream {
  name: string;
  shape: Shape;
  values: number[];
}

interface HashVectors {
  fnv1a32: [text: string, hash: number][];
  hash: [key: string, index: number, hash: number][];
  weights: { name: string; shape: Shape; index: number; f16: number }[];
  normal: Stream;
  uniform: Stream;
}

/** The vectors of the hash rule that models without files are made by. */
export function* hashCases({ hashWeights }: Goldens): Generator<Case> {
  if (!hashWeights) return;
  const { index: vectors, id } = hashWeights as unknown as Fixture<HashVectors>;
  const part = (name: string, pairs: () => [found: ArrayLike<number>, golden: ArrayLike<number>]): Case => ({
    id: `${id}/${name}`,
    on: "host",
    *compare(): Generator<Measure> {
      yield { group: "hash weights", error: differing(...pairs()), tolerance: TOLERANCES.exact };
    },
  });
  yield part("fnv1a32", () => [
    vectors.fnv1a32.map(([text]) => fnv1a32(text)),
    vectors.fnv1a32.map(([, golden]) => golden),
  ]);
  yield part("hash", () => [
    vectors.hash.map(([key, i]) => hash(key, i, 1)[0]),
    vectors.hash.map(([, , golden]) => golden),
  ]);
  yield part("weights", () => [
    vectors.weights.map(({ name, shape, index: begin }) => weights(name, shape, { begin, count: 1 })[0]),
    vectors.weights.map(({ f16 }) => f16),
  ]);
  for (const [name, stream] of Object.entries({ normal, uniform })) {
    const { name: key, shape, values } = vectors[name as "normal" | "uniform"];
    yield part(name, () => [stream(key, elements(shape)), values]);
  }
}
