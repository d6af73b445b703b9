import { notStrictEqual, strictEqual } from "node:assert/strict";
import { etagOf } from "../../src/server/etag.ts";
import type { EngineInfo } from "../../src/engine/protocol.ts";

const info = { adapter: { name: "a", backend: "b" }, precision: "f32", model: { name: "m" } } as unknown as EngineInfo;
const tag = (fields: Record<string, unknown>, format = "png") =>
  etagOf(new Map(Object.entries({ prompt: "a", ...fields })), { format, weights: () => "w", info });

Deno.test("a picture has a tag for good where its seeds are given: the variation's too, where there is one", () => {
  strictEqual(tag({}), undefined);
  strictEqual(tag({ seed: -1 }), undefined);
  strictEqual(typeof tag({ seed: 1 }), "string");
  strictEqual(typeof tag({ seed: 1, subseed_strength: 0 }), "string");
  strictEqual(tag({ seed: 1, subseed_strength: "0.5" }), undefined);
  strictEqual(tag({ seed: 1, subseed_strength: 0.5, subseed: -1 }), undefined);
  strictEqual(typeof tag({ seed: 1, subseed_strength: 0.5, subseed: 2 }), "string");
  strictEqual(tag({ seed: 1 }, "sse"), undefined);
});

Deno.test("another field is another tag, and what changes no byte is not", () => {
  notStrictEqual(tag({ seed: 1, clip_skip: 2 }), tag({ seed: 1 }));
  strictEqual(tag({ seed: 1, keep_alive: 0 }), tag({ seed: 1 }));
});
