/** What becomes of a model whose defaults make no request: the embedded model with a defaults.json of another's. */
import { rejects } from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { Engine } from "../../src/engine/engine.ts";

const tiny = fileURLToPath(new URL("../../weights/tiny", import.meta.url));

const wrong: [defaults: Record<string, unknown>, message: RegExp][] = [
  [{ sampler: "foo" }, /defaults\.json: field sampler: there is no sampler "foo"/],
  [{ steps: 500 }, /defaults\.json: field steps is 500, a whole number from 1 to 150 would do$/],
  [
    { sampler: "ddim", scheduler: "karras" },
    /defaults\.json: field scheduler is "karras", which sampler ddim does not take/,
  ],
];

Deno.test("a model whose defaults make no request does not load, and says which field of its defaults.json is wrong", async () => {
  const model = await Deno.makeTempDir();
  for (const { name } of Deno.readDirSync(tiny)) {
    if (name !== "defaults.json") await Deno.symlink(`${tiny}/${name}`, `${model}/${name}`);
  }
  for (const [defaults, message] of wrong) {
    await Deno.writeTextFile(`${model}/defaults.json`, JSON.stringify({ width: 64, height: 64, ...defaults }));
    await rejects(Engine.open({ model, precision: "f32", log: () => {} }), { message });
  }
  await Deno.remove(model, { recursive: true });
});
