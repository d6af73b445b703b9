/** Every file of tests/oracle/bad/pictures against the reference library's verdict and pixels. */
import assert from "node:assert/strict";
import { PictureError, PictureReader } from "../../src/image/read.ts";

const folder = new URL("../oracle/bad/pictures/", import.meta.url);

interface Verdict {
  file: string;
  expect: "accept" | "reject" | "either";
  pillow: { format?: string };
  /** [height, width, 3], where the reference decoded the file. */
  rgb_shape?: [number, number, number];
  rgb?: string;
}

const { files }: { files: Verdict[] } = JSON.parse(await Deno.readTextFile(new URL("decoded.json", folder)));
const goldens = await readTensors(new URL("decoded.safetensors", folder));

for (const { file, expect, pillow, rgb_shape, rgb } of files) {
  Deno.test(`read() judges ${file} as the reference does: ${expect}`, async () => {
    using reader = new PictureReader();
    const [height, width] = rgb_shape ?? [40, 48];
    const started = performance.now();
    const outcome = await reader.read(await Deno.readFile(new URL(file, folder)), { width, height }).catch((error) =>
      error
    );
    assert.ok(performance.now() - started < 2_000, "a verdict is quick");
    if (outcome instanceof Error) {
      assert.ok(outcome instanceof PictureError, String(outcome.stack));
      assert.match(outcome.message, /^Cannot read the (picture|PNG|JPEG|WebP): [^\n]+[^.\n]$/);
      assert.notEqual(expect, "accept", outcome.message);
      return;
    }
    assert.notEqual(expect, "reject");
    if (!rgb) return;
    const golden = goldens.get(rgb)!;
    assert.equal(outcome.length, golden.length);
    if (pillow.format === "PNG" || pillow.format === "WEBP") assert.deepEqual(outcome, golden);
    else if (expect === "accept") assert.ok(meanDifference(outcome, golden) <= 2, `${meanDifference(outcome, golden)}`);
  });
}

function meanDifference(a: Uint8Array, b: Uint8Array): number {
  return a.reduce((sum, value, i) => sum + Math.abs(value - b[i]), 0) / a.length;
}

/** The U8 tensors of a safetensors file by name. */
async function readTensors(file: URL): Promise<Map<string, Uint8Array>> {
  const bytes = await Deno.readFile(file);
  const data = 8 + Number(new DataView(bytes.buffer).getBigUint64(0, true));
  const header: Record<string, { data_offsets: [number, number] }> = JSON.parse(
    new TextDecoder().decode(bytes.subarray(8, data)),
  );
  const named = Object.entries(header).filter(([name]) => name !== "__metadata__");
  return new Map(named.map(([name, { data_offsets: [from, to] }]) => [name, bytes.slice(data + from, data + to)]));
}
