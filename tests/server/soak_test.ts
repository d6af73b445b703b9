/**
 * Many clients at once, of whom some hang up, cancel or send nonsense: a short form of it runs with the other tests,
 * `SOAK=1000 deno task test tests/server/soak_test.ts` the long one, which watches memory too.
 */
import assert from "node:assert/strict";
import { decode } from "fast-png";
import { parseInfotext } from "../../src/png/infotext.ts";
import { residentBytes, Server, sleep, until } from "./programme.ts";

const requests = Number(Deno.env.get("SOAK") ?? 160), connections = 16;

/** Numbers from 0 to 1, the same in every run. */
function* numbers(): Generator<number, never> {
  for (let state = 1;;) {
    state = Math.imul(state, 1664525) + 1013904223 >>> 0;
    yield state / 2 ** 32;
  }
}

/** What became of the requests. */
interface Tally {
  pictures: number;
  left: number;
  cancelled: number;
  refused: number;
  /** Jobs that were answered, each to be so once. */
  jobs: Set<string>;
}

const fields = (seed: number) => ({ prompt: "a red circle", width: 64, height: 64, steps: 2, seed });

/** A picture that is the one asked for, and nobody else's. */
function check(bytes: Uint8Array<ArrayBuffer>, seed: number): void {
  const png = decode(bytes, { checkCrc: true });
  assert.deepEqual([png.width, parseInfotext(png.text.parameters).parameters.Seed], [64, `${seed}`]);
}

const kinds: ((server: Server, seed: number, tally: Tally, random: () => number) => Promise<void>)[] = [
  async function get({ url }, seed, tally) {
    const query = new URLSearchParams(Object.entries(fields(seed)).map(([name, value]) => [name, `${value}`]));
    const response = await fetch(`${url}/generate?${query}`);
    assert.equal(response.status, 200);
    check(await response.bytes(), seed);
    once(tally, response);
  },
  async function postJson({ url }, seed, tally) {
    const response = await post(`${url}/generate`, { ...fields(seed), format: "json" });
    assert.equal(response.status, 200);
    const { images } = await response.json();
    check(Uint8Array.fromBase64(images[0]), seed);
    once(tally, response);
  },
  async function job({ url }, seed, tally) {
    const response = await post(`${url}/v1/jobs`, fields(seed));
    assert.equal(response.status, 202);
    const { links } = await response.json();
    check(await (await fetch(`${url}${links.images[0]}`)).bytes(), seed);
    once(tally, response);
  },
  async function hangUp({ url }, seed, tally, random) {
    const client = new AbortController();
    setTimeout(() => client.abort(), random() * 300);
    try {
      const response = await post(`${url}/generate`, { ...fields(seed), steps: 40, format: "sse" }, client.signal);
      await response.text();
      tally.pictures++;
    } catch (error) {
      assert.equal((error as Error).name, "AbortError");
      tally.left++;
    }
  },
  async function cancel({ url }, seed, tally, random) {
    const { links } = await (await post(`${url}/v1/jobs`, { ...fields(seed), steps: 40 })).json();
    await sleep(random() * 300);
    const response = await fetch(url + links.self, { method: "DELETE" });
    await response.body?.cancel();
    assert.ok([202, 409].includes(response.status), `DELETE answered ${response.status}`);
    if (response.status === 202) tally.cancelled++;
    else tally.pictures++;
  },
  async function nonsense({ url }, seed, tally) {
    const bodies = ["{", '{"prompt": 3}', `{"prompt": "x", "steps": ${seed}e9}`, '{"prompt": "x", "init_image": "!"}'];
    const headers = { "content-type": "application/json" };
    const response = await fetch(`${url}/generate`, { method: "POST", body: bodies[seed % bodies.length], headers });
    await response.body?.cancel();
    assert.equal(response.status, 400);
    tally.refused++;
  },
];

function post(url: string, body: unknown, signal?: AbortSignal): Promise<Response> {
  return fetch(url, {
    method: "POST",
    body: JSON.stringify(body),
    headers: { "content-type": "application/json" },
    signal,
  });
}

function once(tally: Tally, response: Response): void {
  const id = response.headers.get("x-job-id")!;
  assert.ok(!tally.jobs.has(id), `job ${id} was answered twice`);
  tally.jobs.add(id);
  tally.pictures++;
}

Deno.test(`${requests} requests from ${connections} connections are each answered once, whatever the others do`, async () => {
  await using server = await Server.start();
  const source = numbers(), random = () => source.next().value;
  const tally: Tally = { pictures: 0, left: 0, cancelled: 0, refused: 0, jobs: new Set() };
  let next = 0;
  const resident: number[] = [];
  const worker = async () => {
    while (next < requests) {
      const seed = next++;
      // Half of them are honest.
      const kind = random() < 0.5 ? Math.floor(random() * 3) : Math.floor(random() * kinds.length);
      await kinds[kind](server, seed, tally, random);
      if (seed % 50 === 0 && Deno.build.os === "linux") resident.push(await residentBytes(server.process.pid));
    }
  };
  await Promise.all(Array.from({ length: connections }, worker));
  const { pictures, left, cancelled, refused } = tally;
  console.log(`${pictures} pictures, ${left} hung up, ${cancelled} cancelled, ${refused} refused`);
  assert.equal(pictures + left + cancelled + refused, requests);
  await until(async () => await server.queueLength() === 0);
  assert.equal(server.errors.includes("failed"), false, server.errors);
  if (requests >= 1000 && resident.length > 4) {
    const half = resident.slice(resident.length / 2), growth = half.at(-1)! / half[0] - 1;
    console.log(`resident memory grew by ${(100 * growth).toFixed(1)} % over the last half`);
    assert.ok(growth < 0.05, `resident memory went from ${half[0] >> 20} to ${half.at(-1)! >> 20} MiB`);
  }
});
