import { deepStrictEqual } from "node:assert/strict";
import { decode } from "fast-png";
import { concat } from "../../../src/png/chunk.ts";
import { encodePng } from "../../../src/png/encode.ts";
import { bandsOf } from "../../png/filter_rows.ts";
import { unpackPixels } from "../../reference/pixels.ts";
import { device, prove, run } from "../harness.ts";
import { filterTable, pixelsTable } from "./pixels.ts";

prove(pixelsTable, { types: ["f32", "f16 throughout"] });
prove(filterTable, { types: ["f32"] });

Deno.test("an independent decoder reads the scanlines that filterScanlines() made", async () => {
  const { subgroupSize, weightStorage } = device, type = "f32";
  const target = { subgroupSize, weightStorage, weightType: type, operandType: type, hiddenType: type } as const;
  for (const line of filterTable.cases) {
    const { inputs: { pixels }, outputs: { scanlines } } = await run(line, target);
    const [, height, width] = pixels.shape;
    const bytes = new Uint8Array(Uint32Array.from(scanlines.tensor.data).buffer, 0, height * (1 + 3 * width));
    const file = concat(await Array.fromAsync(encodePng({ width, height }, bandsOf(bytes, width, 16))));
    deepStrictEqual(decode(file, { checkCrc: true }).data, Uint8Array.from(unpackPixels([...pixels.data])), line.name);
  }
});
