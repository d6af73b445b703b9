/** Keys as whoever starts the programme sets them, and files as another programme judges them. */
import assert from "node:assert/strict";
import { Server } from "./programme.ts";

Deno.test("API_KEYS, RATE_LIMIT and CORS_ORIGINS of the environment hold for the programme", async () => {
  const env = { API_KEYS: "secret", RATE_LIMIT: "1", CORS_ORIGINS: "https://a.example" };
  for (const [name, value] of Object.entries(env)) Deno.env.set(name, value);
  try {
    await using server = await Server.start();
    const query = "prompt=a+red+circle&steps=2", origin = "https://a.example";
    const closed = await server.get(query, { headers: { origin } });
    assert.deepEqual([closed.status, closed.headers.get("access-control-allow-origin")], [401, origin]);
    await closed.body?.cancel();
    assert.equal((await (await fetch(`${server.url}/health/live`)).json()).status, "live");
    const headers = { authorization: "Bearer secret" };
    assert.equal((await (await server.get(query, { headers })).bytes())[0], 0x89);
    const second = await server.get(query, { headers });
    assert.equal(second.status, 429);
    assert.ok(Number(second.headers.get("retry-after")) >= 50);
    await second.body?.cancel();
  } finally {
    for (const name of Object.keys(env)) Deno.env.delete(name);
  }
});

const pngcheck = await new Deno.Command("which", { args: ["pngcheck"] }).output().then(({ success }) => success);

Deno.test({
  name: "pngcheck finds nothing wrong with any kind of PNG, whatever the prompt",
  ignore: !pngcheck,
  fn: async () => {
    await using server = await Server.start();
    const folder = await Deno.makeTempDir();
    for (const query of ["format=png", "early=1", "format=apng&previews=3", "width=136&height=72"]) {
      for (const prompt of ["a red circle", "caf\u00e9 \u732b"]) {
        const response = await server.get(`prompt=${encodeURIComponent(prompt)}&steps=4&seed=1&${query}`);
        assert.equal(response.status, 200);
        const file = `${folder}/picture.png`;
        await Deno.writeFile(file, await response.bytes());
        const { success, stdout } = await new Deno.Command("pngcheck", { args: ["-q", file] }).output();
        assert.ok(success, `${query}: ${new TextDecoder().decode(stdout)}`);
      }
    }
    await Deno.remove(folder, { recursive: true });
  },
});
