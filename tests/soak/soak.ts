/** Tests of a server that is left running: many clients, a stop among them, and devices that are lost. */
import assert from "node:assert/strict";
import { Server, sleep, until } from "../server/programme.ts";
import {
  askForPng,
  askOfTheFaulty,
  connections,
  type Held,
  heldBy,
  metrics,
  numbers,
  requests,
  send,
  Tally,
} from "./load.ts";

/**
 * Sends `count` requests, of which `rude` are hung up on, cancelled or nonsense, and stops the server while more come. With
 * `memory`, also sees what the server holds over the last half of them.
 */
export function manyClients(
  { requests: count, rude, memory = false }: { requests: number; rude: number; memory?: boolean },
) {
  Deno.test(`${count} requests from ${connections} connections are each answered once, whatever ${rude} others do, also while it stops`, async () => {
    await using server = await Server.start();
    const source = numbers(), random = () => source.next().value, tally = new Tally();
    const held = await send(server, requests(count, rude, random), { tally, random, every: count / 20 });
    console.log(`${tally}`);
    assert.equal(tally.total, count);
    await until(async () => await server.queueLength() === 0);
    if (memory) isFlat(held);
    assert.equal(server.errors.includes("failed"), false, server.errors);
    await stop(server);
  });
}

/** Resident memory flat within 5 %, device memory exactly. */
function isFlat(held: Held[]): void {
  const half = held.slice(held.length / 2), quarters = [half.slice(0, half.length / 2), half.slice(half.length / 2)];
  const [third, last] = quarters.map((each) => each.reduce((sum, { resident }) => sum + resident, 0) / each.length);
  console.log(`resident, in MiB: ${held.map(({ resident }) => resident >> 20).join(" ")}`);
  console.log(`the last quarter has ${(100 * (last / third - 1)).toFixed(1)} % more than the third`);
  for (const { device } of half) assert.deepEqual(device, half[0].device);
  assert.ok(Math.abs(last / third - 1) < 0.05, `resident memory went from ${third} to ${last} bytes`);
  const least = Math.min(...half.map(({ resident }) => resident)),
    most = Math.max(...half.map(({ resident }) => resident));
  assert.ok(most / least < 1.05, `resident memory was from ${least} to ${most} bytes`);
}

/** What a server holds that has made one picture on a device on which there was nothing: no batches, that is. */
async function heldAfterOne(server: Server): Promise<Held> {
  const query = "prompt=a+red+circle&width=64&height=64&steps=2&seed=0";
  await (await server.get(`${query}&keep_alive=0`)).bytes();
  await until(async () => Object.values((await heldBy(server)).device).every((bytes) => bytes === 0));
  await (await server.get(query)).bytes();
  return await heldBy(server);
}

/** SIGTERM under load: what was accepted is finished, what comes after is told to come back, and the process ends well. */
async function stop(server: Server): Promise<void> {
  const tally = new Tally();
  let gone = 0, seed = 0;
  const client = async () => {
    for (;;) {
      try {
        await askOfTheFaulty(server, seed++, tally);
      } catch (error) {
        if (!(error instanceof TypeError)) throw error;
        gone++; // nobody listens any more
        return;
      }
      if (tally.deferred > 0) await sleep(20);
    }
  };
  const clients = Array.from({ length: connections }, client);
  await until(async () => await server.queueLength() >= connections / 2);
  const accepted = await server.queueLength(), before = tally.pictures;
  server.process.kill("SIGTERM");
  await Promise.all(clients);
  assert.equal(await server.exit(), 0, server.errors);
  console.log(
    `after SIGTERM ${tally.pictures - before} pictures, ${tally.deferred} put off, ${gone} connections at the end`,
  );
  assert.ok(tally.pictures - before >= accepted && tally.deferred > 0 && gone === connections);
}

/** Loses the device `times` times while clients wait for pictures. */
export function losses({ times }: { times: number }) {
  Deno.test(`${times} devices lost under load are ${times} recoveries: no job is lost or answered twice, and memory is as before`, async () => {
    await using server = await Server.startWith(["--preload", "tests/soak/faulty.ts"]);
    const source = numbers(), random = () => source.next().value, tally = new Tally();
    await askForPng(server, 0, tally);
    const calm = await heldAfterOne(server), resident: number[] = [], tookMs: number[] = [];
    let seed = 1, isOver = false;
    const client = async () => {
      while (!isOver) await askOfTheFaulty(server, seed++, tally);
    };
    const clients = Array.from({ length: connections }, client);
    const recoveries = async () => (await metrics(server, "sd_engine_recoveries_total")).sd_engine_recoveries_total;
    for (let lost = 1; lost <= times; lost++) {
      await sleep(300 * random());
      server.process.kill("SIGUSR2");
      tookMs.push(await until(async () => await recoveries() === lost));
      const made = tally.pictures;
      await until(() => Promise.resolve(tally.pictures > made + connections));
      resident.push((await heldBy(server)).resident);
    }
    isOver = true;
    await Promise.all(clients);
    const { sd_job_retries_total: retries } = await metrics(server, "sd_job_retries_total");
    const faults = await metrics(server, "sd_engine_faults_total"), slowest = Math.max(...tookMs) / 1000;
    console.log(
      `${tally} of ${seed - 1} requests, ${retries} begun again, the slowest recovery ${slowest.toFixed(1)} s`,
    );
    console.log(`resident, in MiB: ${calm.resident >> 20}, then ${resident.map((bytes) => bytes >> 20).join(" ")}`);
    assert.equal(tally.total, seed);
    assert.equal(faults['sd_engine_faults_total{kind="device_lost"}'], times);
    assert.ok(retries > 0, "no job was ever interrupted");
    assert.deepEqual((await heldAfterOne(server)).device, calm.device);
    const [early, late] = [resident.slice(0, times / 2), resident.slice(times / 2)].map((each) => Math.max(...each));
    assert.ok(late < 1.1 * early, `resident memory went from ${early} to ${late} bytes`);
    server.process.kill("SIGTERM");
    assert.equal(await server.exit(), 0, server.errors);
  });
}
