import assert from "node:assert/strict";
import fc from "fast-check";
import { BytePairEncoder } from "../../src/tokenizer/bpe.ts";

const folder = new URL("../oracle/models/tokenizer/", import.meta.url).pathname;
const vocab: Record<string, number> = JSON.parse(Deno.readTextFileSync(`${folder}vocab.json`));
const merges = Deno.readTextFileSync(`${folder}merges.txt`).split("\n").filter((line) => line && !line.startsWith("#"));
const ranks = new Map(merges.map((merge, rank) => [merge, rank]));
const encoder = new BytePairEncoder(vocab, merges);

/** The definition: as long as there is one, merge the leftmost pair of lowest rank. */
function reference(word: string): number[] {
  const symbols = Array.from(word);
  symbols[symbols.length - 1] += "</w>";
  const rankAt = (i: number) => ranks.get(`${symbols[i]} ${symbols[i + 1]}`) ?? Infinity;
  while (true) {
    const all = symbols.slice(1).map((_, i) => rankAt(i));
    const lowest = Math.min(...all);
    if (lowest === Infinity) return symbols.map((symbol) => vocab[symbol]);
    const at = all.indexOf(lowest);
    symbols.splice(at, 2, symbols[at] + symbols[at + 1]);
  }
}

function encode(word: string): number[] {
  const ids: number[] = [];
  encoder.encode(word, ids);
  return ids;
}

const letters = (alphabet: string) => fc.string({ unit: fc.constantFrom(...alphabet), minLength: 1, maxLength: 60 });

for (const alphabet of ["ab", "etaoinshrdlu", "!?.-'", "abcdefghijklmnopqrstuvwxyz0123456789"]) {
  Deno.test(`BytePairEncoder merges words of “${alphabet}” in the order that the definition asks for`, () => {
    fc.assert(fc.property(letters(alphabet), (word) => assert.deepEqual(encode(word), reference(word))));
  });
}

Deno.test("BytePairEncoder's tokens spell the word's bytes", () => {
  const tokens = Object.keys(vocab);
  const length = (id: number) => Array.from(tokens[id].replace("</w>", "")).length;
  fc.assert(fc.property(fc.string({ unit: "grapheme", minLength: 1 }), (word) => {
    const bytes = new TextEncoder().encode(word).length;
    assert.equal(encode(word).reduce((sum, id) => sum + length(id), 0), bytes);
  }));
});

Deno.test("BytePairEncoder names a token that the vocabulary lacks", () => {
  assert.throws(() => new BytePairEncoder({ a: 0 }, []), { name: "RangeError", message: /no token/ });
  assert.throws(() => new BytePairEncoder(vocab, ["a ☃"]), { name: "RangeError", message: /"☃"/ });
});
