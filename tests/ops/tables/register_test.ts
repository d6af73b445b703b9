import { deepStrictEqual } from "node:assert/strict";
import { files } from "../../files.ts";
import { recordCase } from "../case.ts";
import { fuse } from "../../../src/graph/fuse.ts";
import { isMatmulWeight, packsPairs, Parameter, takesWinograd } from "../../../src/graph/graph.ts";
import { softwareF16 } from "../../graph/targets.ts";
import { target } from "../budget.ts";
import { tables } from "./mod.ts";

Deno.test("every kernel is run by a case of a table", () => {
  const kernels = Array.from(files("kernels/"), (path) => /^kernels\/(\w+)\.wgsl$/.exec(path)?.[1]).filter(Boolean);
  const run = new Set<string>();
  for (const { cases } of tables) {
    for (const line of cases) {
      for (const { shape, layout } of Object.values(line.weights ?? {})) {
        run.add(isMatmulWeight(new Parameter(shape, layout)) ? "repack_matmul" : "repack_rows"); // by the loader
      }
      for (const each of [target(0), target(8), softwareF16]) {
        const { graph, parameters } = recordCase(line, each);
        for (const [name] of Object.entries(parameters).filter(([, one]) => packsPairs(one, each))) {
          if (takesWinograd(parameters[name], each)) run.add("repack_winograd");
          else if (line.weights![name].dtype !== "f16") run.add("repack_pairs"); // the host packs those
        }
        fuse(graph); // ops of several kernels become their dispatches
        for (const { kernel } of graph.dispatches) run.add(kernel.name.split(" ")[0]);
      }
    }
  }
  deepStrictEqual([...run].sort(), kernels.toSorted());
});
