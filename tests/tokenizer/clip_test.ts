import assert from "node:assert/strict";
import fc from "fast-check";
import { ClipTokenizer, loadTokenizer } from "../../src/tokenizer/clip.ts";

const path = (name: string) => new URL(`../oracle/${name}`, import.meta.url).pathname;
const folder = path("models/tokenizer");
const START = 49406;
const END = 49407;

interface Goldens {
  cases: { prompt: string; ids: number[]; ids77: number[] }[];
}

const goldens: Goldens = JSON.parse(Deno.readTextFileSync(path("goldens/tokenizer.json")));
const vocab: Record<string, number> = JSON.parse(Deno.readTextFileSync(`${folder}/vocab.json`));
const merges = Deno.readTextFileSync(`${folder}/merges.txt`);
const tokenizer = loadTokenizer(folder);

/** The ids between the start token and the first end token. */
function inner(prompt: string): number[] {
  const { ids } = tokenizer.encode(prompt);
  return ids.slice(1, ids.indexOf(END));
}

Deno.test(`encode() gives the reference's 77 ids of all ${goldens.cases.length} prompts, and counts what was lost`, () => {
  for (const { prompt, ids, ids77 } of goldens.cases) {
    assert.deepEqual(tokenizer.encode(prompt), { ids: ids77, truncated: Math.max(0, ids.length - 77) }, prompt);
  }
});

Deno.test("encode() of a tokenizer that pads with “!” differs only behind the end token", () => {
  const padToken = JSON.parse(Deno.readTextFileSync(path("models/tokenizer_2/tokenizer_config.json"))).pad_token;
  const second = new ClipTokenizer({ vocab, merges, padToken });
  for (const { prompt, ids, ids77 } of goldens.cases) {
    const expected = ids77.map((id, i) => i < ids.length ? id : 0);
    assert.deepEqual(second.encode(prompt).ids, expected, prompt);
  }
});

Deno.test("encode() lowers every sigma alike, also at the end of a word", () => {
  assert.deepEqual(inner("ΟΔΟΣ ΑΣ."), [138, 123, 138, 112, 138, 123, 139, 481, 138, 109, 139, 481, 269]);
});

Deno.test("encode() takes special tokens for such only where they are written exactly", () => {
  assert.deepEqual(inner("<|startoftext|>a cat"), [START, 320, 2368]);
  assert.deepEqual(inner("x <|StartOfText|>y"), [343, 27, 347, 993, 6659, 4160, 91, 285, 344]);
});

Deno.test("encode() counts the tokens behind the 75th", () => {
  assert.deepEqual([75, 76, 400].map((count) => tokenizer.encode("cat ".repeat(count)).truncated), [0, 1, 325]);
  assert.equal(tokenizer.encode("cat ".repeat(400)).ids.at(-1), END);
});

/** Any text: all of Unicode, lone surrogates, and the pieces that the tokenizer treats in their own way. */
const text = fc.array(
  fc.oneof(
    fc.string({ unit: "binary" }),
    fc.string({ unit: "grapheme" }),
    fc.string({ unit: fc.integer({ min: 0, max: 0xffff }).map((unit) => String.fromCharCode(unit)) }),
    fc.constantFrom("<|endoftext|>", "<|startoftext|>", "<|", "'s", " ", "toString", "__proto__", "9", "!!!"),
  ),
).map((parts) => parts.join(""));

Deno.test("encode() gives any text 77 ids of the vocabulary: the start token, its own, the end token, padding", () => {
  fc.assert(fc.property(text, (prompt) => {
    const { ids, truncated } = tokenizer.encode(prompt);
    assert.equal(ids.length, 77);
    assert.equal(ids[0], START);
    assert.ok(ids.includes(END));
    assert.ok(ids.every((id) => Number.isInteger(id) && id >= 0 && id <= END));
    assert.ok(truncated >= 0 && (truncated === 0 || ids.at(-1) === END));
  }));
});

Deno.test("encode() does not depend on letter case, composition or white space", () => {
  fc.assert(fc.property(fc.array(fc.constantFrom("Café", "Ärger", "CAT", "it's", "42", "—!?")), (words) => {
    const plain = tokenizer.encode(words.join(" "));
    assert.deepEqual(tokenizer.encode(` ${words.join("\u3000\t\n\x85")} `.toUpperCase().normalize("NFD")), plain);
  }));
});

const LONG: Record<string, string> = {
  "one word of random letters": Array.from({ length: 100_000 }, (_, i) => "etaoinshr"[(i * i * 7 + (i >> 3)) % 9]).join(
    "",
  ),
  "one letter": "a".repeat(100_000),
  "quotes": "'s".repeat(50_000),
  "digits": "1".repeat(100_000),
  "white space": " \n".repeat(50_000),
  "combining marks": "a" + "\u0301".repeat(50_000),
  "halves of special tokens": "<|endoftext|".repeat(8_000),
};

for (const [name, prompt] of Object.entries(LONG)) {
  Deno.test(`encode() needs no more than half a second for 100 kB of ${name}`, () => {
    const begin = performance.now();
    assert.equal(tokenizer.encode(prompt).ids.length, 77);
    assert.ok(performance.now() - begin < 500, `${performance.now() - begin} ms`);
  });
}

Deno.test("loadTokenizer() reads a padding token that is written as an object, and ignores an absurd length", async () => {
  const copy = await Deno.makeTempDir();
  try {
    for (const name of ["vocab.json", "merges.txt"]) await Deno.copyFile(`${folder}/${name}`, `${copy}/${name}`);
    assert.deepEqual(loadTokenizer(copy).encode("a cat"), tokenizer.encode("a cat"));
    await Deno.writeTextFile(`${copy}/tokenizer_config.json`, JSON.stringify({ model_max_length: 1e30 }));
    await Deno.writeTextFile(`${copy}/special_tokens_map.json`, JSON.stringify({ pad_token: { content: "!" } }));
    assert.deepEqual(loadTokenizer(copy).encode("a").ids, [START, 320, END, ...new Array(74).fill(0)]);
    await Deno.writeTextFile(`${copy}/tokenizer_config.json`, JSON.stringify({ pad_token: "nonsense token" }));
    assert.throws(() => loadTokenizer(copy), (error) => {
      return error instanceof Error && error.message.includes(copy) && error.message.includes('"nonsense token"');
    });
  } finally {
    await Deno.remove(copy, { recursive: true });
  }
});

Deno.test("loadTokenizer() names the file that is missing or broken", async () => {
  const empty = await Deno.makeTempDir();
  try {
    assert.throws(
      () => loadTokenizer(empty),
      (error) => error instanceof Error && error.message.includes("vocab.json"),
    );
    await Deno.writeTextFile(`${empty}/vocab.json`, "{");
    assert.throws(() => loadTokenizer(empty), /vocab\.json: it is no JSON/);
  } finally {
    await Deno.remove(empty, { recursive: true });
  }
});
