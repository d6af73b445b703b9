import { deepStrictEqual } from "node:assert/strict";
import { createEngine, type Engine } from "../../src/engine/client.ts";
import { parseRequest } from "../../src/engine/request.ts";
import type { Picture } from "../../src/image/picture.ts";
import { decodePng } from "../../src/image/png.ts";
import { encodePng } from "../../src/png/encode.ts";
import { differences, promptOf } from "./check.ts";
import { scenes } from "./prompts.ts";

/** The picture of a prompt with the model's own defaults, by way of the PNG that a client would receive. */
async function generate(engine: Engine, prompt: string, seed: number): Promise<Picture> {
  const { request } = parseRequest(new Map<string, unknown>([["prompt", prompt], ["seed", seed]]), await engine.ready);
  const bands: Uint8Array[] = [];
  for await (const event of engine.generate(`${seed}`, request, new AbortController().signal)) {
    if (event.type === "rows") bands.push(event.bytes);
  }
  const pieces = await Array.fromAsync(encodePng({ width: request.width, height: request.height }, bands));
  return decodePng(await new Blob(pieces).bytes());
}

Deno.test("the embedded model draws twelve prompts in the colours and shapes that they ask for", async () => {
  const engine = createEngine({ model: decodeURIComponent(new URL("../../weights/tiny", import.meta.url).pathname) });
  try {
    const failed: string[] = [];
    for (const [i, scene] of scenes.entries()) {
      const found = differences(await generate(engine, promptOf(scene), 1000 + i), scene);
      if (found.length) failed.push(`${promptOf(scene)}: ${found.join("; ")}`);
    }
    deepStrictEqual(failed, []);
  } finally {
    engine.close();
  }
});
