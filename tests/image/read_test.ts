import assert from "node:assert/strict";
import { encodePng } from "../../src/png/encode.ts";
import { concat } from "../../src/png/chunk.ts";
import { PictureError, PictureReader } from "../../src/image/read.ts";
import { startInVain } from "../failing_worker.ts";
import { filterRows } from "../png/filter_rows.ts";

/** A PNG of `width` × `height` pixels of one grey. */
async function greyPng(width: number, height: number, grey = 120): Promise<Uint8Array<ArrayBuffer>> {
  const rows = filterRows(new Uint8Array(width * height * 3).fill(grey), width);
  return concat(await Array.fromAsync(encodePng({ width, height }, [rows])));
}

/** The file with its EXIF orientation replaced. */
function orient(file: Uint8Array<ArrayBuffer>, orientation: number): Uint8Array<ArrayBuffer> {
  const copy = file.slice();
  const tag = copy.findIndex((_, i) => copy[i] === 0x01 && copy[i + 1] === 0x12) + 8;
  const [high, low] = [copy[tag], copy[tag + 1]];
  if (high === 0) copy[tag + 1] = orientation;
  else assert.fail(`not a big-endian orientation: ${high} ${low}`);
  return copy;
}

Deno.test("read() stretches the picture to the size that was asked for", async () => {
  using reader = new PictureReader();
  const pixels = await reader.read(await greyPng(30, 20), { width: 16, height: 40 });
  assert.equal(pixels.length, 16 * 40 * 3);
  assert.ok(pixels.every((value) => value === 120));
});

Deno.test("read() answers each of many files handed in at once, in order, whatever becomes of the others", async () => {
  using reader = new PictureReader();
  const files = [await greyPng(8, 8, 1), new Uint8Array([1, 2, 3]), await greyPng(8, 8, 2), await greyPng(9, 9, 3)];
  const outcomes = await Promise.allSettled(files.map((file) => reader.read(file, { width: 8, height: 8 })));
  assert.deepEqual(outcomes.map(({ status }) => status), ["fulfilled", "rejected", "fulfilled", "fulfilled"]);
  assert.deepEqual(outcomes.flatMap((o) => o.status === "fulfilled" ? [o.value[0]] : []), [1, 2, 3]);
});

Deno.test("read() gives up at its deadline and serves the next file", async () => {
  using reader = new PictureReader({ deadlineMs: 1_000 });
  const black = new Uint8Array(4096 * (1 + 3 * 4096));
  const slow = concat(await Array.fromAsync(encodePng({ width: 4096, height: 4096 }, [black])));
  await assert.rejects(
    reader.read(slow, { width: 4096 - 8, height: 4096 - 8 }),
    (error) => error instanceof PictureError && error.refusal === "too_slow" && /more than 1 s/.test(error.message),
  );
  assert.equal((await reader.read(await greyPng(8, 8), { width: 8, height: 8 }))[0], 120);
});

Deno.test("read() refuses a side of 4097 pixels by its header and reads one of 4096", async () => {
  using reader = new PictureReader();
  const outcome = reader.read(await greyPng(4097, 1), { width: 8, height: 8 });
  await assert.rejects(
    outcome,
    /^PictureError: Cannot read the PNG: it has 4097×1 pixels, up to 4096 a side would do$/,
  );
  assert.equal((await reader.read(await greyPng(4096, 2), { width: 8, height: 8 })).length, 8 * 8 * 3);
});

Deno.test("read() does not start on a file whose sender has left", async () => {
  using reader = new PictureReader();
  const signal = AbortSignal.abort(new DOMException("left", "AbortError"));
  await assert.rejects(reader.read(await greyPng(8, 8), { width: 8, height: 8, signal }), { name: "AbortError" });
});

Deno.test("read() turns a JPEG of each EXIF orientation into the same upright picture", async () => {
  const folder = new URL("../oracle/bad/pictures/", import.meta.url);
  const file = await Deno.readFile(new URL("ok_exif_6.jpg", folder));
  using reader = new PictureReader();
  const stored = await reader.read(orient(file, 1), { width: 48, height: 40 });
  const transposed = await reader.read(orient(file, 5), { width: 40, height: 48 });
  for (let y = 0; y < 48; y++) {
    for (let x = 0; x < 40; x++) assert.equal(transposed[(y * 40 + x) * 3], stored[(x * 48 + y) * 3]);
  }
});

Deno.test("a reader that was started does not let the first file wait for its Worker", async () => {
  const bomb = await greyPng(4097, 1);
  const refused = async (reader: PictureReader): Promise<number> => {
    const file = bomb.slice(), from = performance.now();
    await assert.rejects(reader.read(file, { width: 8, height: 8 }), PictureError);
    return performance.now() - from;
  };
  const cold: number[] = [], started: number[] = [];
  for (let i = 0; i < 3; i++) {
    using later = new PictureReader(), now = new PictureReader();
    cold.push(await refused(later));
    await now.start();
    await new Promise((resolve) => setTimeout(resolve, 500)); // its modules are loaded on a thread of its own
    started.push(await refused(now));
  }
  assert.ok(2 * Math.min(...started) < Math.min(...cold), `${started} ms, and ${cold} ms of those that were not`);
});

Deno.test("a Worker that fails before a file came ends nothing else, and the first file has another", async () => {
  using reader = new PictureReader();
  await startInVain(() => reader.start());
  assert.equal((await reader.read(await greyPng(2, 2), { width: 1, height: 1 })).length, 3);
});
