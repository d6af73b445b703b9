/** Many clients at once, of whom some hang up, cancel or send nonsense, and what became of each request. */
import assert from "node:assert/strict";
import { decode } from "fast-png";
import { parseInfotext } from "../../src/png/infotext.ts";
import { residentBytes, type Server, sleep } from "../server/programme.ts";

/** Clients at once. */
export const connections = 16;

/** Numbers from 0 to 1, the same in every run. */
export function* numbers(): Generator<number, never> {
  for (let state = 1;;) {
    state = Math.imul(state, 1664525) + 1013904223 >>> 0;
    yield state / 2 ** 32;
  }
}

/** What became of the requests. */
export class Tally {
  pictures = 0;
  left = 0;
  cancelled = 0;
  refused = 0;
  /** Answered 503 with a time to come back at. */
  deferred = 0;
  /** Jobs whose pictures were answered, each to be so once. */
  readonly #jobs = new Set<string>();

  /** All that had an end. */
  get total(): number {
    return this.pictures + this.left + this.cancelled + this.refused + this.deferred;
  }

  /** A picture was answered. */
  once(response: Response): void {
    const id = response.headers.get("x-job-id")!;
    assert.ok(!this.#jobs.has(id), `job ${id} was answered twice`);
    this.#jobs.add(id);
    this.pictures++;
  }

  toString(): string {
    const { pictures, left, cancelled, refused, deferred } = this;
    return `${pictures} pictures, ${left} hung up, ${cancelled} cancelled, ${refused} refused, ${deferred} put off`;
  }
}

/** One request of a client's to its end. */
export type Ask = (server: Server, seed: number, tally: Tally, random: () => number) => Promise<void>;

const fields = (seed: number) => ({ prompt: "a red circle", width: 64, height: 64, steps: 2, seed });

/** A picture that is the one asked for, and nobody else's. */
function check(bytes: Uint8Array<ArrayBuffer>, seed: number): void {
  const png = decode(bytes, { checkCrc: true });
  assert.deepEqual([png.width, parseInfotext(png.text.parameters).parameters.Seed], [64, `${seed}`]);
}

export async function askForPng({ url }: Server, seed: number, tally: Tally): Promise<void> {
  const query = new URLSearchParams(Object.entries(fields(seed)).map(([name, value]) => [name, `${value}`]));
  const response = await fetch(`${url}/generate?${query}`);
  assert.equal(response.status, 200);
  check(await response.bytes(), seed);
  tally.once(response);
}

export async function askForJson({ url }: Server, seed: number, tally: Tally): Promise<void> {
  const response = await post(`${url}/generate`, { ...fields(seed), format: "json" });
  assert.equal(response.status, 200);
  const { images } = await response.json();
  check(Uint8Array.fromBase64(images[0]), seed);
  tally.once(response);
}

export async function askForJob({ url }: Server, seed: number, tally: Tally): Promise<void> {
  const response = await post(`${url}/v1/jobs`, fields(seed));
  assert.equal(response.status, 202);
  const { links } = await response.json();
  check(await (await fetch(`${url}${links.images[0]}`)).bytes(), seed);
  tally.once(response);
}

/** A picture, or 503 with a time to come back at. */
export async function askOfTheFaulty({ url }: Server, seed: number, tally: Tally): Promise<void> {
  const response = await post(`${url}/generate`, fields(seed));
  if (response.status !== 503) {
    assert.equal(response.status, 200);
    check(await response.bytes(), seed);
    return tally.once(response);
  }
  const { error } = await response.json();
  assert.ok(Number(response.headers.get("retry-after")) > 0, error.message);
  tally.deferred++;
}

async function hangUp({ url }: Server, seed: number, tally: Tally, random: () => number): Promise<void> {
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
}

async function cancel({ url }: Server, seed: number, tally: Tally, random: () => number): Promise<void> {
  const { links } = await (await post(`${url}/v1/jobs`, { ...fields(seed), steps: 40 })).json();
  await sleep(random() * 300);
  const response = await fetch(url + links.self, { method: "DELETE" });
  await response.body?.cancel();
  assert.ok([202, 409].includes(response.status), `DELETE answered ${response.status}`);
  if (response.status === 202) tally.cancelled++;
  else tally.pictures++;
}

async function sendNonsense({ url }: Server, seed: number, tally: Tally): Promise<void> {
  const bodies = ["{", '{"prompt": 3}', `{"prompt": "x", "steps": ${seed}e9}`, '{"prompt": "x", "init_image": "!"}'];
  const headers = { "content-type": "application/json" };
  const response = await fetch(`${url}/generate`, { method: "POST", body: bodies[seed % bodies.length], headers });
  await response.body?.cancel();
  assert.equal(response.status, 400);
  tally.refused++;
}

function post(url: string, body: unknown, signal?: AbortSignal): Promise<Response> {
  return fetch(url, {
    method: "POST",
    body: JSON.stringify(body),
    headers: { "content-type": "application/json" },
    signal,
  });
}

/** `count` requests in a random order, of which `rude` are hung up on, cancelled or make no sense. */
export function requests(count: number, rude: number, random: () => number): Ask[] {
  const honest = [askForPng, askForJson, askForJob], others = [hangUp, cancel, sendNonsense];
  const all: Ask[] = Array.from({ length: count }, (_, i) => i < rude ? others[i % 3] : honest[i % 3]);
  for (let i = count - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    [all[i], all[j]] = [all[j], all[i]];
  }
  return all;
}

/** What a server holds at some moment: bytes of its process, and of device memory by kind. */
export interface Held {
  resident: number;
  device: Record<string, number>;
}

/** What `/metrics` says of samples whose name begins so. */
export async function metrics({ url }: Server, name: string): Promise<Record<string, number>> {
  const page = await (await fetch(`${url}/metrics`)).text();
  const lines = page.split("\n").filter((line) => line.startsWith(name)).map((line) => line.split(" "));
  return Object.fromEntries(lines.map(([sample, value]) => [sample, Number(value)]));
}

export async function heldBy(server: Server): Promise<Held> {
  const resident = await residentBytes(server.process.pid);
  return { resident, device: await metrics(server, "sd_device_memory_bytes") };
}

/** Sends all requests from so many connections; every so many of them it looks at what the server holds. */
export async function send(
  server: Server,
  asks: readonly Ask[],
  { tally, random, every = Infinity }: { tally: Tally; random: () => number; every?: number },
): Promise<Held[]> {
  const held: Held[] = [];
  let next = 0;
  const client = async () => {
    while (next < asks.length) {
      const seed = next++;
      await asks[seed](server, seed, tally, random);
      if (seed % every === every - 1) held.push(await heldBy(server));
    }
  };
  await Promise.all(Array.from({ length: connections }, client));
  return held;
}
