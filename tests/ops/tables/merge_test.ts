import { strictEqual } from "node:assert/strict";
import { Graph } from "../../../src/graph/graph.ts";
import { matchTokens } from "../../../src/ops/merge.ts";
import { target } from "../budget.ts";
import { prove, usualPaths } from "../harness.ts";
import * as tables from "./merge.ts";

prove(tables.mergeTable, { paths: usualPaths, types: ["f32", "f16", "f16 throughout"] });
prove(tables.mergedBlockTable, { paths: usualPaths, types: ["f32"] });

Deno.test("matchTokens() records nothing where no token is to be merged, or no whole window is there", () => {
  for (const [height, width, ratio] of [[8, 8, 0], [2, 2, 0.2], [1, 16, 0.5], [16, 1, 0.5]]) {
    const graph = new Graph(target(0)), x = graph.input("x", [1, height * width, 8], "f32");
    strictEqual(matchTokens(x, { height, width, ratio }), undefined);
    strictEqual(graph.dispatches.length, 0);
  }
});
