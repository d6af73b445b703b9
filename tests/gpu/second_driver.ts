/** A few cases of the kernels that depend on a driver most; `second_driver_test.ts` runs them on SwiftShader. */
import { match } from "node:assert/strict";
import { device, prove, usualPaths } from "../ops/harness.ts";
import type { Table } from "../ops/case.ts";
import * as attention from "../ops/tables/attention.ts";
import * as elementwise from "../ops/tables/elementwise.ts";
import * as matmul from "../ops/tables/matmul.ts";
import * as norm from "../ops/tables/norm.ts";

/** The first `count` cases of a table: a second driver is 20 to 40 times slower than the usual one. */
const first = (count: number, table: Table): Table => ({ ...table, cases: table.cases.slice(0, count) });

Deno.test("the driver is SwiftShader, with subgroups as the usual kernels want them", () => {
  match(`${device.name}, ${device.subgroupSize} lanes`, /^SwiftShader.*, [48] lanes$/);
});

const options = { paths: usualPaths, types: ["f32"] } as const;
prove(first(6, matmul.linearTable), options);
prove(first(6, matmul.convTable), options);
prove(first(6, matmul.gatedTable), options);
prove(first(4, attention.attentionTable), options);
prove(first(2, attention.oddHeadsTable), options);
prove(first(6, norm.layerNormTable), options);
prove(first(6, norm.groupNormTable), { types: ["f32"] });
prove(first(6, norm.groupNormSiluTable), { types: ["f32"] });
prove(first(6, elementwise.geluTable), { types: ["f32"] });
