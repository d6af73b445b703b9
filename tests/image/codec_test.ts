/** Codecs whose files cannot be read at the moment: the picture that needs them fails, and later ones do not. */
import assert from "node:assert/strict";
import { PictureReader } from "../../src/image/read.ts";
import { PictureWriter } from "../../src/image/write.ts";
import { concat } from "../../src/png/chunk.ts";
import { encodePng } from "../../src/png/encode.ts";
import { filterRows } from "../png/filter_rows.ts";

const size = { width: 8, height: 8 };
const { readFile } = Deno;

async function picture(): Promise<Uint8Array<ArrayBuffer>> {
  const rows = filterRows(new Uint8Array(8 * 8 * 3).fill(7), 8);
  return concat(await Array.fromAsync(encodePng(size, [rows])));
}

/** `act` fails, twice, while no file can be opened. */
async function withoutFiles(act: () => Promise<unknown>): Promise<void> {
  Deno.readFile = () => Promise.reject(new Error("Too many open files"));
  try {
    for (let i = 0; i < 2; i++) await assert.rejects(act, /Too many open files/);
  } finally {
    Deno.readFile = readFile;
  }
}

Deno.test("a reader whose codecs could not be read tries again with the next file", async () => {
  using reader = new PictureReader();
  const read = async () => await reader.read(await picture(), size);
  await withoutFiles(read);
  assert.equal((await read()).length, 8 * 8 * 3);
});

Deno.test("a writer whose codecs could not be read tries again with the next picture", async () => {
  using writer = new PictureWriter();
  const write = async () => await writer.write(await picture(), { format: "jpeg", quality: 80, comment: "" });
  await withoutFiles(write);
  assert.deepEqual([...(await write()).subarray(0, 2)], [0xff, 0xd8]);
});
