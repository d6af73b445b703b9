import { deepStrictEqual, ok } from "node:assert/strict";
import { segmentsOf } from "../../src/prompt/attention.ts";
import { chunksOf } from "../../src/prompt/chunks.ts";
import { composedPromptsOf } from "../../src/prompt/compose.ts";
import { scheduleOf } from "../../src/prompt/schedule.ts";
import { loadTokenizer } from "../../src/tokenizer/clip.ts";

interface Row {
  prompt: string;
  steps: number;
  firstPass?: number;
  parts: { text: string; weight: number; schedule: [until: number, text: string, segments: [string, number][]][] }[];
}

interface ChunkedRow {
  prompt: string;
  chunks: { tokens: number[]; weights: number[] }[];
}

const path = (name: string) => new URL(`../oracle/${name}`, import.meta.url).pathname;
const table: Row[] = JSON.parse(Deno.readTextFileSync(path("prompt/table.json")));
const chunked: ChunkedRow[] = JSON.parse(Deno.readTextFileSync(path("prompt/chunks.json")));

Deno.test(`${table.length} prompts are read exactly as A1111's own functions read them`, () => {
  ok(table.length >= 80);
  for (const { prompt, steps, firstPass, parts } of table) {
    const found = composedPromptsOf(prompt).map(({ text, weight }) => ({
      text,
      weight,
      schedule: scheduleOf(text, { steps, firstPass }).map(({ until, text }) => [
        until,
        text,
        segmentsOf(text).map(({ text, weight }) => [text, weight]),
      ]),
    }));
    deepStrictEqual(found, parts, JSON.stringify(prompt));
  }
});

const tokenizer = loadTokenizer(path("models/tokenizer"));

Deno.test(`${chunked.length} prompts, long ones among them, are cut into the chunks that A1111 cuts`, () => {
  for (const { prompt, chunks } of chunked) {
    const found = chunksOf(segmentsOf(prompt), tokenizer);
    deepStrictEqual(found.map(({ tokens, weights }) => ({ tokens, weights })), chunks, prompt.slice(0, 80));
  }
});
