/** Jobs that share batches, over HTTP on the embedded model: what each is answered is what it is answered alone. */
import assert from "node:assert/strict";
import { Server, until } from "./programme.ts";

const size = "width=64&height=64&steps=4&sampler=Euler+a";
const queries = [
  "prompt=a+red+circle+on+a+blue+background&seed=1",
  "prompt=a+yellow+star&negative_prompt=blurry&seed=2",
  "prompt=a+boat+on+the+sea&seed=3&priority=-1",
  "prompt=a+(tree:1.2)+in+a+field&seed=4&format=json",
  "prompt=[a+fish:a+bird:0.5]&seed=5",
  "prompt=a+house+BREAK+at+night&seed=6&rng=cpu&previews=2",
].map((query) => `${query}&${size}`);

/** Runs and the jobs in them so far. */
async function runs({ url }: Server): Promise<{ count: number; sum: number }> {
  const page = await (await fetch(`${url}/metrics`)).text();
  const [sum, count] = ["sum", "count"].map((name) =>
    Number(new RegExp(`^sd_run_jobs_${name} (\\d+)$`, "m").exec(page)?.[1] ?? 0)
  );
  return { count, sum };
}

Deno.test("pictures made under load, in batches and beside clients that hang up, are byte for byte those made alone", async () => {
  await using server = await Server.start();
  const bytesOf = async (response: Response) => {
    assert.equal(response.status, 200);
    const bytes = await response.bytes();
    if (!response.headers.get("content-type")!.startsWith("application/json")) return bytes;
    return Uint8Array.fromBase64(JSON.parse(new TextDecoder().decode(bytes)).images[0]);
  };
  const alone: Uint8Array[] = [];
  for (const query of queries) alone.push(await bytesOf(await server.get(query)));
  assert.deepEqual(await runs(server), { count: queries.length, sum: queries.length });

  for (let round = 0; round < 2; round++) {
    const left = new AbortController();
    const answers = queries.map(async (query) => bytesOf(await server.get(query)));
    const gone = server.get(`prompt=a+dog&seed=8&format=sse&${size}`, left).then(async (response) => {
      const reader = response.body!.getReader(), text = new TextDecoder();
      while (!text.decode((await reader.read()).value).includes("event: progress"));
      left.abort();
    });
    const handedIn = await fetch(`${server.url}/v1/jobs?prompt=a+cow&seed=9&${size}`, { method: "POST" });
    const { links } = await handedIn.json();
    assert.equal((await fetch(server.url + links.self, { method: "DELETE" })).status, 202);
    for (const [i, answer] of answers.entries()) assert.deepEqual(await answer, alone[i], queries[i]);
    await gone;
    await until(async () => await server.queueLength() === 0);
    assert.equal((await (await fetch(server.url + links.self)).json()).status, "cancelled");
  }
  const { count, sum } = await runs(server);
  assert.ok(sum - count >= 3, `${sum} jobs in ${count} runs`);
  assert.equal(server.errors.includes("failed"), false, server.errors);
});

Deno.test("with --batch 1 every job runs alone", async () => {
  await using server = await Server.start("--batch", "1");
  await Promise.all(queries.map(async (query) => (await server.get(query)).bytes()));
  assert.deepEqual(await runs(server), { count: queries.length, sum: queries.length });
});
