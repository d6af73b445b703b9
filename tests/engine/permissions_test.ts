import assert from "node:assert/strict";
import { createEngine } from "../../src/engine/client.ts";

Deno.test("whatever the engine's Worker tries beside reading files, it may not: no network, environment, writing or running", async () => {
  const engine = createEngine({ model: "tiny", module: new URL("./prying_worker.ts", import.meta.url) });
  await assert.rejects(engine.ready, { message: "read a file" });
  engine.close();
});
