import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import fc from "fast-check";
import { isBreak, segmentsOf } from "../../src/prompt/attention.ts";
import { chunksOf, emptyChunk, type Words } from "../../src/prompt/chunks.ts";
import { composedPromptsOf } from "../../src/prompt/compose.ts";
import { scheduleOf } from "../../src/prompt/schedule.ts";

/** Any text, and much of what means something. */
const anyPrompt = fc.oneof(
  fc.string({ unit: "binary" }),
  fc.string({ unit: "grapheme" }),
  fc.array(fc.constantFrom(..."()[]:|\\, a9.-猫", ":0.5", ":1.3)", "BREAK", " AND ", "[a:b:2]", "\n")).map((all) =>
    all.join("")
  ),
);
/** Text without any character or word that means something. */
const plainPrompt = fc.string({ unit: "grapheme" }).map((text) =>
  text.replace(/[()[\]:|\\]/g, "").replace(/BREAK|AND/g, "")
);

/** A token for every character; the comma is one of its own. */
const words: Words = {
  tokens: (text) => Array.from(text, (character) => character === "," ? 2 : 10 + character.codePointAt(0)!),
  start: 0,
  end: 1,
  pad: 1,
  comma: 2,
};

Deno.test("any string is read without throwing, as texts whose schedule ends with the last step", () => {
  fc.assert(
    fc.property(anyPrompt, fc.integer({ min: 1, max: 60 }), (prompt, steps) => {
      const parts = composedPromptsOf(prompt);
      ok(parts.length >= 1);
      for (const { text, weight } of parts) {
        ok(Number.isFinite(weight));
        const schedule = scheduleOf(text, { steps });
        const ends = schedule.map(({ until }) => until);
        deepStrictEqual(ends, [...new Set(ends)].sort((a, b) => a - b));
        strictEqual(ends.at(-1), steps);
        for (const { text } of schedule) {
          const segments = segmentsOf(text);
          ok(segments.length >= 1);
          ok(segments.every(({ weight }) => !Number.isNaN(weight)));
          for (const { tokens, weights } of chunksOf(segments, words)) {
            deepStrictEqual([tokens.length, weights.length, tokens[0]], [77, 77, 0]);
          }
        }
      }
    }),
    { numRuns: 1000 },
  );
});

Deno.test("plain text is one segment of weight 1, the text itself, at every step", () => {
  fc.assert(
    fc.property(plainPrompt, (prompt) => {
      deepStrictEqual(scheduleOf(prompt, { steps: 20 }), [{ until: 20, text: prompt }]);
      deepStrictEqual(segmentsOf(prompt), [{ text: prompt, weight: 1 }]);
      for (const { weights } of chunksOf(segmentsOf(prompt), words)) ok(weights.every((weight) => weight === 1));
    }),
    { numRuns: 1000 },
  );
});

Deno.test("an escaped text is the text itself, of weight 1", () => {
  fc.assert(
    fc.property(fc.string({ unit: "grapheme" }).map((text) => text.replace(/BREAK/g, "")), (text) => {
      const escaped = text.replace(/[()[\]\\]/g, "\\$&");
      deepStrictEqual(segmentsOf(escaped).map(({ text }) => text).join(""), text);
      ok(segmentsOf(escaped).every(({ weight }) => weight === 1));
    }),
  );
});

Deno.test("chunks hold every token of a prompt once and in order", () => {
  fc.assert(
    fc.property(fc.array(fc.constantFrom("a", "b", ","), { maxLength: 400 }), (characters) => {
      const text = characters.join(""), chunks = chunksOf(segmentsOf(text), words);
      deepStrictEqual(chunks.flatMap(({ tokens }) => tokens.filter((token) => token > 1)), words.tokens(text));
    }),
  );
});

Deno.test("thousands of nested, open and escaped brackets are read in a moment, and so is a long run of white space", () => {
  const many = 20_000, began = performance.now();
  const prompts = ["(", "[", "()", "[a", "(a", "[a|", "\\(", " ", "[a:b:2]", "a AND "].map((text) =>
    text.repeat(many / text.length)
  );
  const nested = "[".repeat(6000) + "a" + ":b:2]".repeat(2800);
  for (
    const prompt of [
      ...prompts,
      "(".repeat(9999) + ")".repeat(9999),
      nested,
      " ".repeat(many) + "a",
      `${" ".repeat(many)}BREAK`,
    ]
  ) {
    for (const { text } of composedPromptsOf(prompt)) {
      for (const { text: scheduled } of scheduleOf(text, { steps: 3 })) segmentsOf(scheduled);
    }
  }
  const ms = performance.now() - began;
  ok(ms < 5000, `${ms} ms`);
});

Deno.test("chunksOf() never cuts an embedded word, finds the longest name, and moves it with the text behind a comma", () => {
  const embedded = [
    { name: "a", vectors: 3, tokens: words.tokens("a") },
    { name: "ab", vectors: 5, tokens: words.tokens("ab") },
  ];
  const chunk = (text: string) => chunksOf(segmentsOf(text), words, embedded);
  deepStrictEqual(chunk("x(ab:2)a").map(({ vectors }) => vectors), [[{ at: 2, name: "ab" }, { at: 7, name: "a" }]]);
  deepStrictEqual(chunk("x(ab:2)a")[0].weights.slice(0, 11), [1, 1, 2, 2, 2, 2, 2, 1, 1, 1, 1]);
  // Of 75 places 73 are taken: three vectors do not fit.
  deepStrictEqual(chunk("x".repeat(73) + "a").map(({ vectors }) => vectors), [[], [{ at: 1, name: "a" }]]);
  // The chunk is full behind the word; what follows a comma moves, the word with it.
  deepStrictEqual(
    chunk("x".repeat(70) + ",xay").map(({ vectors, tokens }) => [vectors, tokens.indexOf(1)]),
    [[[], 72], [[{ at: 2, name: "a" }], 6]],
  );
});

Deno.test("a chunk is padded behind its first end token with what the model pads with", () => {
  const padded = { ...words, pad: 7 };
  deepStrictEqual(emptyChunk(padded).tokens.slice(0, 4), [0, 1, 7, 7]);
  deepStrictEqual(chunksOf([{ text: "a", weight: 1 }], padded)[0].tokens.slice(0, 4), [0, 107, 1, 7]);
});

Deno.test("isBreak() knows a BREAK and nothing else", () => {
  deepStrictEqual(segmentsOf("a BREAK (BREAK)").map(isBreak), [false, true, false, false, false, false]);
});
