import { deepStrictEqual } from "node:assert/strict";
import { readBuffer } from "../../../src/gpu/buffer.ts";
import { Parameter } from "../../../src/graph/graph.ts";
import { inTurn, repackMatmul, repackRows } from "../../reference/repack.ts";
import { target } from "../budget.ts";
import { normals, type Weight } from "../case.ts";
import { device, load, prove, rounded, usualPaths } from "../harness.ts";
import { piecesTable, storedTable } from "./repack.ts";

prove(storedTable, { paths: usualPaths });
prove(piecesTable, { paths: usualPaths, types: ["f32"] });
prove(piecesTable, { types: ["f16"] });

Deno.test("a loaded weight lies in memory as its layout says, with zeros wherever it is padded", async () => {
  for (const dtype of ["f32", "f16", "bf16"] as const) {
    for (const weightType of device.f16 ? ["f32", "f16"] as const : ["f32"] as const) {
      for (const shape of [[1, 1], [5, 3], [9, 6, 3, 3], [7, 2, 1, 5], [33, 17], [24, 5]]) {
        for (const layout of ["matmul", "gated", "rows"] as const) {
          if (layout === "rows" && shape.length > 2 || layout === "gated" && shape[0] % 8) continue;
          const weight: Weight = { shape, layout, dtype }, parameter = new Parameter(shape, layout);
          const stored = rounded(normals(shape, 1), dtype);
          using _loaded = await load({ weight }, { weight: stored }, { weight: parameter }, {
            ...target(0),
            weightType,
          });
          const { buffer } = parameter.resource as GPUBufferBinding;
          const bytes = await readBuffer(device, buffer, 0, buffer.size);
          const found = weightType === "f16" ? new Float16Array(bytes) : new Float32Array(bytes);
          const expected = layout === "rows"
            ? repackRows(stored)
            : repackMatmul(layout === "gated" ? inTurn(stored) : stored);
          deepStrictEqual(
            [...found],
            [...rounded(expected, weightType).data],
            `[${shape}] of ${dtype} in ${weightType}`,
          );
        }
      }
    }
  }
});
